"""Event files hold what the journal does."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from glo.cli.app import run as command
from glo.errors import UserError
from glo.export import export_tensorboard
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run


def read(folder: Path) -> Any:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_every_number_of_the_journal_is_in_the_events(pictures: Run, tmp_path: Path) -> None:
    events = read(export_tensorboard(pictures, tmp_path))
    records = read_metrics_log(pictures.folder / "metrics.jsonl")
    epochs = [record for record in records if record["kind"] == "epoch"]
    found = events.Scalars("epoch/mse")
    assert [event.step for event in found] == [record["step"] for record in epochs]
    assert [event.value for event in found] == pytest.approx([record["mse"] for record in epochs])
    apart = found[-1].wall_time - found[0].wall_time
    assert apart == pytest.approx(epochs[-1]["elapsed"] - epochs[0]["elapsed"], abs=1e-3)
    wanted = {
        f"{record['kind']}/{name}"
        for record in records
        for name in record.keys() - {"kind", "step", "rows", "elapsed"}
    }
    assert set(events.Tags()["scalars"]) == wanted
    assert (
        "| code_dim | 4 |"
        in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    )


def test_pictures_stand_at_their_epochs(pictures: Run, tmp_path: Path) -> None:
    events = read(export_tensorboard(pictures, tmp_path))
    drawn = sorted((pictures.folder / "samples").glob("epoch-*.png"))
    assert len(events.Images("pictures/training")) == len(drawn) > 0
    (samples,) = events.Images("pictures/gaussian")
    assert samples.step == 20
    assert (samples.width, samples.height) == (662, 662)


def test_a_second_export_takes_the_place_of_the_first(pictures: Run, tmp_path: Path) -> None:
    export_tensorboard(pictures, tmp_path)
    (tmp_path / "events.out.tfevents.1.elsewhere").write_bytes(b"")
    export_tensorboard(pictures, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert names[0] == "events.out.tfevents.1.elsewhere"


def test_the_command_and_a_run_without_records(
    pictures: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "events")
    assert command(["export", str(pictures.folder), "--tensorboard", out]) == 0
    assert f"tensorboard --logdir {out}" in capsys.readouterr().out
    empty = Run(tmp_path, settings=pictures.settings, data=pictures.data, preset="mnist")
    with pytest.raises(UserError, match=r"no record in metrics.jsonl yet"):
        export_tensorboard(empty, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        '"step": 1e400',
        '"step": NaN',
        '"elapsed": Infinity',
        '"epoch": 1e300',
        '"kind": "\\ud800"',
        '"kind": "images"',
        '"\\ud800": 1.0',
    ],
)
def test_what_no_event_can_hold_is_left_out(pictures: Run, tmp_path: Path, line: str) -> None:
    run = Run(tmp_path / "run", settings=pictures.settings, data=pictures.data, preset="mnist")
    shutil.copytree(pictures.folder, run.folder)
    before = read(export_tensorboard(run, tmp_path / "a")).Tags()["scalars"]
    whole = '"kind": "epoch", "step": 20, "epoch": 5, "elapsed": 1.0, "rows": 20'
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(f"{{{whole}, {line}}}\n")
    (run.folder / "samples" / "epoch-².png").write_bytes(b"")
    (run.folder / "samples" / "a\udcff.png").write_bytes(b"")
    assert read(export_tensorboard(run, tmp_path / "b")).Tags()["scalars"] == before

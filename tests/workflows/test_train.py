"""Sessions: what they yield, save and refuse, driven without the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.host_reads import count_reads
from tests.builders import (
    PER_EPOCH,
    STEPS,
    N,
    assert_same,
    at_epoch,
    at_step,
    contents,
    finish,
    images,
    samples,
    session,
    settings,
    stop,
    tensors,
)

import glo
from glo.data.labels import UNLABELED
from glo.errors import UserError
from glo.runs import code_map
from glo.runs.manifest import write_manifest
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import open_run
from glo.training.statistics import StepRecord


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    finish(tmp_path / "whole")
    return tmp_path / "whole"


def refining(hook: str, value: object) -> bool:
    return hook == "on_refine"


def test_hooks_of_a_run(tmp_path: Path) -> None:
    events = finish(tmp_path / "run")
    assert events[0] == ("on_train_begin", 0)
    records = [event for event in events if event[0] in ("on_step", "on_epoch_end")]
    assert [r.step for hook, r in records if hook == "on_step"] == list(range(1, STEPS + 1))
    for place, (hook, _) in enumerate(records):
        assert (hook == "on_epoch_end") == ((place + 1) % (PER_EPOCH + 1) == 0)
    assert [value for hook, value in events if hook == "on_refine"] == [20]
    assert {v[0] for hook, v in events if hook == "on_fit"} == {"gaussian prior", "mixture prior"}


class ReadEveryStep(glo.Callback):
    """Callback that asks for the loss in every step."""

    def on_step(self, training: Any, record: StepRecord) -> None:
        assert record.loss > 0


def test_a_run_seldom_waits_for_the_device(tmp_path: Path) -> None:
    recipe = settings(epochs=1, batch_size=4)
    data = samples(400)
    few = count_reads(data, recipe, tmp_path / "few")
    assert few.count <= 0.2 * 100, few.places
    callbacks = [*glo.default_callbacks(), ReadEveryStep()]
    many = count_reads(data, recipe, tmp_path / "many", callbacks=callbacks)
    assert many.count >= 100


def test_a_run_that_is_stopped_at_every_event_is_the_same(tmp_path: Path, whole: Path) -> None:
    out, stops = tmp_path / "run", [at_step(n) for n in range(1, STEPS + 1)]
    for when in [*stops, refining, lambda hook, value: hook == "on_fit"]:
        stop(out, when)
    finish(out)
    assert_same(tensors(out), tensors(whole))


def test_a_kill_at_any_time_repeats_no_record(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    # Saved at step 4 and killed later: what was logged in between is logged again, once.
    stop(out, at_step(4))
    stop(out, at_epoch(3), save=False)
    assert read_metrics_log(out / "metrics.jsonl")[-1]["step"] == 9
    finish(out)
    pairs = [(r["kind"], r["step"]) for r in read_metrics_log(out / "metrics.jsonl")]
    assert pairs == [(r["kind"], r["step"]) for r in read_metrics_log(whole / "metrics.jsonl")]
    assert len(pairs) == STEPS + STEPS // PER_EPOCH
    assert_same(tensors(out), tensors(whole))


def test_it_saves_by_itself(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    # The save follows the event: the last step told is not yet saved.
    stop(out, at_step(5), save=False, checkpoint_seconds=0.0)
    names = sorted(path.name for path in (out / "checkpoint").iterdir())
    assert names == ["step-000000000003", "step-000000000004"]
    # How often to save is no part of the recipe.
    finish(out, checkpoint_seconds=1e5)
    assert_same(tensors(out), tensors(whole))


def test_an_interrupt_of_polishing_costs_only_that(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    stop(out, refining, save=False)
    events = finish(out)
    assert events[0] == ("on_train_begin", STEPS)
    assert not [event for event in events if event[0] == "on_step"]
    assert_same(tensors(out), tensors(whole))


def test_a_finished_run_says_so_and_stays(whole: Path) -> None:
    before = contents(whole)
    ((hook, message),) = finish(whole)
    assert (hook, message.warning) == ("on_message", False)
    assert contents(whole) == before


def test_seconds_of_all_sittings_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    out = tmp_path / "run"
    stop(out, at_step(4))
    first = open_run(out).checkpoint.facts["seconds"]
    assert first > 0
    finish(out)
    values = open_run(out).summary
    assert values is not None
    assert values["seconds"] > first


def test_others_are_refused_until_it_closes(tmp_path: Path) -> None:
    sitting = session(tmp_path / "run")
    with pytest.raises(UserError, match="another process"):
        session(tmp_path / "run")
    sitting.close()
    session(tmp_path / "run").close()


def test_other_data_and_settings_are_refused(whole: Path) -> None:
    before = contents(whole)
    with pytest.raises(UserError, match="was trained on other data"):
        session(whole, samples(seed=1))
    with pytest.raises(UserError, match="epochs was 4 and is now 5"):
        session(whole, epochs=5)
    assert contents(whole) == before


def test_the_same_data_may_lie_elsewhere(tmp_path: Path, whole: Path) -> None:
    from glo.data import Dataset

    moved = Dataset(rows=images()[..., None], name="other name")
    assert len(finish(whole, moved)) == 1


@pytest.mark.parametrize(
    "changes",
    [{"decoder": "mlp"}, {"loss": "lap2"}, {"device": "nonsense"}, {"decoder": "tensorlayer"}],
)
def test_a_recipe_that_cannot_work_leaves_no_folder(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(UserError):
        session(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_pictures_of_few_of_many_epochs(tmp_path: Path) -> None:
    finish(tmp_path / "run", samples(8), epochs=31)
    drawn = sorted(p.stem for p in (tmp_path / "run" / "samples").glob("epoch-*.png"))
    assert drawn == [f"epoch-{n:04d}" for n in (*range(1, 10), 10, 20, 30)]


def test_what_killed_sittings_left_is_removed(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    stop(out, at_step(5), save=False, checkpoint_seconds=0.0)
    for name in (".writing-9", ".removing-9-step-000000000002"):
        (out / "checkpoint" / name).mkdir()
    # Of two processes with their rows in files, of which one goes on with its rows in memory.
    for name in (".rows-0-of-2", ".rows-1-of-2"):
        (out / name).mkdir()
        (out / name / "codes").write_bytes(b"0" * 99)
    for name in (".999999999.metrics.jsonl", "samples/.999999999.epoch-0001.png"):
        (out / name).write_text("half")
    finish(out)
    names = [sorted(p.relative_to(f) for f in [r] for p in r.rglob("*")) for r in (out, whole)]
    assert names[0] == names[1]
    assert_same(tensors(out), tensors(whole))


def test_a_third_checkpoint_that_a_kill_left_is_removed(tmp_path: Path, whole: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    third = out / "checkpoint" / "step-000000000011"
    shutil.copytree(out / "checkpoint" / f"step-{STEPS:012d}", third)
    (out / "summary.json").unlink()
    finish(out)
    assert not third.exists()
    assert contents(out / "checkpoint") == contents(whole / "checkpoint")


def test_a_run_can_begin_where_one_was_killed_before_its_first_file(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "lock").touch()
    (out / ".999999999.config.toml").write_text("half")
    finish(out)
    assert not (out / ".999999999.config.toml").exists()
    (out / "config.toml").unlink()
    with pytest.raises(UserError, match="is not empty and is not a run"):
        finish(out)


@pytest.mark.parametrize("facts", [{}, {"seconds": "1"}, {"seconds": -1.0}, {"seconds": 1e300}])
def test_seconds_that_are_none_count_nothing(tmp_path: Path, facts: dict[str, object]) -> None:
    out = tmp_path / "run"
    stop(out, at_step(2))
    (folder,) = (out / "checkpoint").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest.pop("seal")
    write_manifest(folder, manifest | {"facts": facts})
    finish(out)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert 0 < summary["seconds"] < 60


def test_examples_of_which_none_is_labeled(tmp_path: Path) -> None:
    data = samples().replace(labels=np.full(N, UNLABELED))
    finish(tmp_path / "run", data, epochs=1)
    run = open_run(tmp_path / "run")
    assert not run.has_labels
    assert run.fitted_priors


def test_the_map_of_the_codes_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_map, "MIN_STORED", N)
    finish(tmp_path / "run", samples(), epochs=1)
    run = open_run(tmp_path / "run")
    places = code_map.read_code_map(run.folder, run.codes)
    assert places is not None
    assert len(places) == N
    assert run.summary is not None
    assert 0 < run.summary["map_seconds"] < run.summary["seconds"]


def test_a_run_that_is_stopped_while_scores_are_calibrated_is_finished_later(
    tmp_path: Path,
) -> None:
    out, data = tmp_path / "run", samples(120)
    stop(out, lambda hook, value: hook == "on_fit" and value[0] == "scores", data, epochs=1)
    assert open_run(out).summary is None
    finish(out, data, epochs=1)
    summary = open_run(out).summary
    assert summary is not None
    assert summary["calibration_examples"] == 24

"""Sessions: what they yield, save and refuse, driven without the command line."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.builders import (
    PER_EPOCH,
    STEPS,
    assert_same,
    contents,
    finish,
    images,
    samples,
    session,
    tensors,
)

from glo.errors import UserError
from glo.runs.manifest import write_manifest
from glo.runs.metrics_log import read_metrics_log
from glo.training.events import Begin, Event, Note, Polishing
from glo.training.statistics import EpochRecord, StepRecord
from glo.workflows import train as module


@pytest.fixture(autouse=True)
def log_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOG_STEPS", 1)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    finish(tmp_path / "whole")
    return tmp_path / "whole"


def stop(folder: Path, when: Callable[[Event], bool], *, save: bool, **changes: object) -> None:
    sitting = session(folder, **changes)
    events: Iterator[Event] = sitting.events()
    assert any(when(event) for event in events)
    if save:
        sitting.save()
    sitting.close()


def test_what_a_run_yields(tmp_path: Path) -> None:
    events = finish(tmp_path / "run")
    first = events[0]
    assert isinstance(first, Begin)
    assert (first.n, first.epochs, first.step, first.total_steps) == (20, 4, 0, STEPS)
    assert 0 < first.baselines.pca < first.baselines.mean_image
    told = [e for e in events if isinstance(e, StepRecord | EpochRecord)]
    assert [e.step for e in told if isinstance(e, StepRecord)] == list(range(1, STEPS + 1))
    for place, event in enumerate(told):
        assert isinstance(event, EpochRecord) == ((place + 1) % (PER_EPOCH + 1) == 0)
    assert [e.rows for e in events if isinstance(e, Polishing)] == [20]


def test_every_event_can_be_the_last(tmp_path: Path, whole: Path) -> None:
    out, sittings = tmp_path / "run", 0
    while not (out / "summary.json").is_file():
        # One event further each time than the checkpoint: a stop at every kind of event.
        sitting = session(out)
        events = sitting.events()
        next(events)
        if next(events, None) is not None:
            sitting.save()
        if sittings > STEPS:
            list(events)
        sitting.close()
        sittings += 1
    assert_same(tensors(out), tensors(whole))


def test_a_kill_at_any_time_repeats_no_record(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    # Saved at step 4 and killed later: what was logged in between is logged again, once.
    stop(out, lambda e: isinstance(e, StepRecord) and e.step == 4, save=True)
    stop(out, lambda e: isinstance(e, EpochRecord) and e.epoch == 3, save=False)
    assert read_metrics_log(out / "metrics.jsonl")[-1]["step"] == 9
    finish(out)
    pairs = [(r["kind"], r["step"]) for r in read_metrics_log(out / "metrics.jsonl")]
    assert pairs == [(r["kind"], r["step"]) for r in read_metrics_log(whole / "metrics.jsonl")]
    assert len(pairs) == STEPS + STEPS // PER_EPOCH
    assert_same(tensors(out), tensors(whole))


def test_it_saves_by_itself(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    # The save follows the event: the last step told is not yet saved.
    stop(
        out, lambda e: isinstance(e, StepRecord) and e.step == 5, save=False, checkpoint_seconds=0.0
    )
    names = sorted(path.name for path in (out / "checkpoint").iterdir())
    assert names == ["step-000000000003", "step-000000000004"]
    # How often to save is no part of the recipe.
    finish(out, checkpoint_seconds=1e5)
    assert_same(tensors(out), tensors(whole))


def test_an_interrupt_of_polishing_costs_only_that(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    stop(out, lambda e: isinstance(e, Polishing), save=False)
    events = finish(out)
    assert isinstance(events[0], Begin)
    assert events[0].step == STEPS
    assert not [e for e in events if isinstance(e, StepRecord)]
    assert_same(tensors(out), tensors(whole))


def test_a_finished_run_says_so_and_stays(whole: Path) -> None:
    before = contents(whole)
    (event,) = finish(whole)
    assert isinstance(event, Note)
    assert event.sentence == f"{whole} is already trained; nothing was changed."
    assert contents(whole) == before


def test_seconds_of_all_sittings_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glo.runs.run import open_run

    out = tmp_path / "run"
    stop(out, lambda e: isinstance(e, StepRecord) and e.step == 4, save=True)
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
    stop(
        out, lambda e: isinstance(e, StepRecord) and e.step == 5, save=False, checkpoint_seconds=0.0
    )
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
    stop(out, lambda e: isinstance(e, StepRecord) and e.step == 2, save=True)
    (folder,) = (out / "checkpoint").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest.pop("seal")
    write_manifest(folder, manifest | {"facts": facts})
    finish(out)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert 0 < summary["seconds"] < 60

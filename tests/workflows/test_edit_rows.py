"""Rows come and go: old ones keep their bits, removed ones leave none, and a cut leaves no half."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import at_step, contents, finish, stop, tensors

import glo
from glo.data import Dataset
from glo.errors import UserError
from glo.priors import load_labels
from glo.runs import transaction as staging
from glo.runs.checkpoint import newest_checkpoint
from glo.runs.run import open_run
from glo.utils.lock import RunLock
from glo.workflows.edit_rows import add_rows, forget_rows

N = 60


def spots(n: int, seed: int = 0, **more: Any) -> Dataset:
    centre = np.random.default_rng(seed).uniform(0.2, 0.8, (n, 2, 1, 1))
    grid = np.stack(np.meshgrid(*[(np.arange(8) + 0.5) / 8] * 2, indexing="ij"))
    pixels = 255 * np.exp(-((grid - centre) ** 2).sum(1) / 0.05)
    return Dataset(rows=pixels.round().astype("uint8")[..., None], name="spots", **more)


def add(folder: Path, samples: Dataset, **more: Any) -> list[str]:
    messages = add_rows(folder, samples, source="more.npy", device="cpu", **more)
    return [message.text for message in messages]


def forget(folder: Path, *rows: int, **more: Any) -> list[str]:
    return [message.text for message in forget_rows(folder, torch.tensor(rows), **more)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 labelled pictures; row 7 alone has the label 5."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    labels = np.arange(N) % 2
    labels[7] = 5
    finish(folder, spots(N, labels=labels), epochs=12, precision="float32", device="cpu")
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def test_old_codes_keep_their_bits_and_new_ones_fit(run: Path) -> None:
    before, errors, drawn = tensors(run), open_run(run).errors, open_run(run).sample(3, seed=1)
    assert errors is not None
    (run / "evaluation.json").write_text("{}")
    said = add(run, spots(15, seed=1, labels=np.arange(15) % 2))
    after, now = tensors(run), open_run(run)
    for name, value in before.items():
        rows = after[name][:N] if name.startswith("rows") else after[name]
        assert torch.equal(rows, value), name
    assert not after["rows-0-of-1/step"][N:].any()
    assert not after["rows-0-of-1/exp_avg_sq"][N:].any()
    assert now.codes.shape == (75, 4)
    assert float(now.codes.norm(dim=1).max()) <= 1 + 1e-6
    assert now.errors is not None
    assert torch.equal(now.errors[:N], errors)
    # Searched to the end, where training stopped early: near or below the others' error.
    assert float(now.errors[N:].mean()) < 2 * float(errors.mean())
    assert now.summary is not None
    assert now.summary["mse"] == float(now.errors.double().mean())
    assert (now.summary["data"]["n"], now.data.n, now.data.history) == (75, 75, "15 added")
    assert said[0].startswith("Added 15 rows, 60 to 74: mse ")
    assert now.sample(3, seed=1).shape == (3, 1, 8, 8)
    assert now.sample(2, label=1).shape == (2, 1, 8, 8)
    assert not torch.equal(now.sample(3, seed=1), drawn), "fitted to all codes"
    assert (run / "samples" / "added.png").is_file()
    assert (run / "samples" / "epoch-0001.png").is_file()
    assert not (run / "evaluation.json").exists()
    assert not list(run.glob(".change*"))
    assert glo.load(run).codes_.shape == (75, 4)


def test_priors_are_kept_when_asked(run: Path) -> None:
    before = contents(run / "prior")
    add(run, spots(3, seed=1), refit=False)
    after = contents(run / "prior")
    assert after["gaussian.safetensors"] == before["gaussian.safetensors"]
    # Labels of the rows go with the rows, so that they can be fitted some day.
    add(run, spots(4, seed=2, labels=np.full(4, 6)))
    labels = load_labels(run / "prior")
    assert labels.classes == [0, 1, 5, 6]
    assert labels.training_labels.tolist() == [
        *((np.arange(N) % 2) + (np.arange(N) == 7) * 4),
        *[-1] * 3,
        *[6] * 4,
    ]


def test_classes_keep_their_names(tmp_path: Path) -> None:
    names = ("-1", "0.5", "cat")
    finish(tmp_path / "run", spots(20, labels=np.arange(20) % 3, label_names=names), device="cpu")
    # Other numbers for the same names, and a name without examples.
    more = spots(3, seed=1, labels=np.array([2, 0, -1]), label_names=("owl", "dog", "cat"))
    said = add(tmp_path / "run", more)
    now = open_run(tmp_path / "run")
    assert now.label_names == (*names, "owl")
    assert now.labels is not None
    assert now.labels[20:].tolist() == [2, 3, -1]
    assert any("New classes: owl;" in text for text in said)
    assert any("1 added without a label" in text for text in said)


def test_rows_keep_their_identities(run: Path) -> None:
    add(run, spots(2, seed=1))
    assert open_run(run).row_ids.ids is None
    said = forget(run, 3, 60)
    assert said[0].startswith("Removed 2 rows: 3, 60; ")
    add(run, spots(1, seed=2), names=["a/spots[0]"])
    # The number of a removed row is not given again.
    add(run, spots(1, seed=3))
    assert open_run(run).row_ids.names == [
        *(str(row) for row in range(60) if row != 3), "61", "spots[0]", "63",
    ]  # fmt: skip
    before = open_run(run).data.fingerprint
    assert forget(run, 58)[0].startswith("Removed row 58 (59); ")
    with pytest.raises(UserError, match="meanwhile"):
        forget(run, 58, fingerprint=before)
    assert open_run(run).data.n == 61


def test_nothing_of_a_forgotten_row_is_left(run: Path) -> None:
    add(run, spots(5, seed=1))
    held, errors = tensors(run), open_run(run).errors
    assert errors is not None
    (run / "checkpoint" / ".writing-1").mkdir()
    shutil.copy(run / "checkpoint/final/rows-0-of-1.safetensors", run / "checkpoint/.writing-1/x")
    (run / ".change-writing").mkdir()
    shutil.copy(run / "checkpoint/final/rows-0-of-1.safetensors", run / ".change-writing/x")
    (run / "samples" / "mine-seed0-n1.png").write_bytes(b"a sample")
    rows = [7, 30, 62]
    secrets = [held[f"rows-0-of-1/{name}"][row] for name in ("codes", "exp_avg_sq") for row in rows]
    secrets += [
        held[f"statistics-0-of-1/{name}"][row] for name in ("first", "codes") for row in (7, 30)
    ]
    marks = [value.numpy().tobytes() for value in secrets if value.any()]
    there = b"".join(contents(run).values())
    assert len(marks) == 9
    assert all(mark in there for mark in marks), "the search finds what is there"
    said = forget(run, *rows)
    for name, content in contents(run).items():
        assert not any(mark in content for mark in marks), name
    left = [row for row in range(65) if row not in rows]
    now = open_run(run)
    assert torch.equal(now.codes, held["rows-0-of-1/codes"][left])
    assert torch.equal(tensors(run)["rows-0-of-1/exp_avg_sq"], held["rows-0-of-1/exp_avg_sq"][left])
    assert now.errors is not None
    assert torch.equal(now.errors, errors[left])
    assert sorted(path.name for path in (run / "checkpoint").iterdir()) == ["final"]
    pictures = {path.stem for path in (run / "samples").iterdir()}
    assert pictures == {"gaussian", "mixture", "interpolations"}
    assert any("weights of the decoder" in sentence for sentence in said)
    # Row 7 alone had that label.
    with pytest.raises(UserError, match="choose one of 0, 1"):
        now.sample(1, label=5)
    assert now.sample(2).shape == (2, 1, 8, 8)
    assert glo.load(run).codes_.shape == (62, 4)
    with pytest.raises(UserError, match=r"rows are 0 to 61"):
        forget(run, 62)


def test_a_run_without_its_priors_fits_them_when_asked(run: Path) -> None:
    said = forget(run, 3, refit=False)
    assert any("(gaussian, mixture)" in sentence for sentence in said)
    now = open_run(run)
    assert not now.has_prior("mixture")
    now.fit_prior("mixture")
    assert now.sample(1).shape == (1, 1, 8, 8)


def test_down_to_one_row(run: Path) -> None:
    forget(run, *range(N - 1))
    now = open_run(run)
    assert now.codes.shape == (1, 4)
    assert not list((run / "prior").iterdir())
    with pytest.raises(UserError, match="all 1 rows"):
        forget(run, 0)
    with pytest.raises(UserError, match="one example"):
        add(run, spots(2))


def test_what_is_strange_is_named(run: Path) -> None:
    (run / "slides.pdf").write_text("row 3")
    assert any("slides.pdf" in sentence for sentence in forget(run, 3))
    (run / "errors.safetensors").unlink()
    forget(run, 3)
    values = json.loads((run / "summary.json").read_text("utf-8"))
    assert values["worst_mse"] is None, "it may have been that of row 3"


def test_examples_that_the_decoder_does_not_know(run: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    said = add(run, Dataset(rows=noise, name="noise"))
    assert "cannot reproduce" in said[0]


@pytest.mark.parametrize("constraint", ["sphere", "free"])
def test_vectors_with_holes(constraint: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6))).astype("float32") * 9 + 4
    rows[rng.random(rows.shape) < 0.1] = np.nan
    data, more = (Dataset(rows=each, name="v") for each in (rows[:50], rows[50:]))
    folder = tmp_path / "run"
    finish(folder, data, epochs=8, constraint=constraint, code_optimizer="sgd", prior="gaussian")
    before = open_run(folder).codes
    add(folder, more)
    now = open_run(folder)
    assert torch.equal(now.codes[:50], before)
    assert now.errors is not None
    assert float(now.errors[50:].mean()) < 2 * float(now.errors[:50].mean())
    if constraint == "sphere":
        assert torch.allclose(now.codes.norm(dim=1), torch.ones(60))
    forget(folder, 55, 0)
    assert torch.equal(open_run(folder).codes, now.codes[[*range(1, 55), *range(56, 60)]])


STEPS = ("search", "fit", "commit", "move", "remove")


@pytest.mark.parametrize("verb", ["add", "forget"])
@pytest.mark.parametrize("where", STEPS)
def test_a_cut_leaves_the_run_as_it_was_or_changed(
    verb: str, where: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, code = contents(run), open_run(run).codes[5].numpy().tobytes()
    if where in ("search", "fit"):
        part = "searching" if where == "search" and verb == "add" else "fitting"

        def interrupt(name: str, done: int, total: int) -> None:
            if name.startswith(part):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            _edit(verb, run, interrupt)
    else:
        name = {"commit": "flush", "move": "_carry_out", "remove": "_clear"}[where]
        original, calls = getattr(staging, name), 0

        def broken(*words: Any) -> None:
            nonlocal calls
            calls += 1
            # The first clearing is that before the work.
            if where != "remove" or calls > 1:
                raise KeyboardInterrupt
            original(*words)

        with monkeypatch.context() as patch:
            patch.setattr(staging, name, broken)
            with pytest.raises(KeyboardInterrupt):
                _edit(verb, run)
    now = open_run(run)
    if where in ("search", "fit", "commit"):
        assert contents(run) == before
        assert now.data.changes == ()
        return
    assert now.data.n == len(now.codes) == {"add": N + 2, "forget": N - 1}[verb]
    assert not list(run.glob(".change*"))
    assert now.sample(1).shape == (1, 1, 8, 8)
    assert any(code in each for each in contents(run).values()) == (verb == "add")


def _edit(verb: str, run: Path, callback: Any = None) -> Any:
    if verb == "add":
        return add_rows(run, spots(2, seed=1), source="more", device="cpu", callback=callback)
    return forget_rows(run, torch.tensor([5]), callback=callback)


def test_a_full_disk_leaves_the_run_as_it_was(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glo.workflows.row_data.write_errors", full)
    with pytest.raises(OSError, match="No space"):
        forget(run, 3)
    assert contents(run) == before


def test_one_writer(run: Path) -> None:
    lock = RunLock(run)
    with pytest.raises(UserError, match="another process"):
        forget(run, 1)
    with pytest.raises(UserError, match="another process"):
        add(run, spots(2))
    lock.release()
    forget(run, 1)


def test_mistakes(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    for rows, sentence in (
        (torch.arange(N), f"all {N} rows"),
        (torch.tensor([N]), "Row 60"),
        (torch.tensor([-1]), "Row -1"),
        (torch.zeros(0), "No row"),
    ):
        with pytest.raises(UserError, match=sentence):
            forget_rows(run, rows)
    with pytest.raises(UserError, match="of 4"):
        add_rows(run, Dataset(rows=np.zeros((2, 4), "float32"), name="v"), source="v")
    with pytest.raises(UserError, match="none"):
        forget_rows(tmp_path / "none", torch.tensor([0]))
    assert contents(run) == before
    assert not (tmp_path / "none").exists()


def test_an_unfinished_run(tmp_path: Path) -> None:
    stop(tmp_path / "run", at_step(1))
    for verb in ("add", "forget"):
        with pytest.raises(UserError, match="is not finished"):
            _edit(verb, tmp_path / "run")


def test_a_changed_run_is_no_other_training(run: Path) -> None:
    forget(run, 3)
    with pytest.raises(UserError, match=r"changed after training \(1 forgotten\)"):
        finish(run, spots(N), epochs=12, precision="float32", device="cpu")


def test_the_data_of_a_changed_run(run: Path, tmp_path: Path) -> None:
    first, more = spots(N), spots(4, seed=1)
    for samples, name in ((first, "first"), (more, "more")):
        np.save(tmp_path / f"{name}.npy", samples.rows)
    forget(run, 3, 9)
    add_rows(run, more, source=str(tmp_path / "more.npy"), device="cpu")
    forget(run, 60)
    data = open_run(run).open_data(str(tmp_path / "first.npy"), command="glo evaluate x")
    left = np.concatenate([np.delete(first.rows, [3, 9], axis=0), more.rows])
    assert np.array_equal(data.rows, np.delete(left, 60, axis=0))
    np.save(tmp_path / "more.npy", spots(4, seed=2).rows)
    assert open_run(run).data.fingerprints >= {first.fingerprint, more.fingerprint}
    with pytest.raises(UserError, match="has changed since 4 rows"):
        open_run(run).open_data(str(tmp_path / "first.npy"), command="glo evaluate x")
    with pytest.raises(UserError, match=r"not the data that .* was trained on: 60 examples"):
        open_run(run).open_data(str(tmp_path / "more.npy"), command="glo evaluate x")


def test_history_is_kept(run: Path) -> None:
    before = open_run(run).data
    forget(run, 3, 4, 5, 9)
    add(run, spots(2, seed=1))
    now = open_run(run)
    assert now.data == before.forgotten(4, "3-5,9").added(
        2, source="more.npy", name="spots", fingerprint=spots(2, seed=1).fingerprint
    )
    assert (now.data.n, now.data.n_trained) == (N - 2, N)
    assert len({now.data.fingerprint, before.fingerprint}) == 2
    found = newest_checkpoint(run / "checkpoint")
    assert found is not None
    assert found.finished

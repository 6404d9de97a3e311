"""Checkpoints: every tensor comes back, damage is found, and a failed writing costs nothing."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.builders import assert_same, cut, flip, samples, settings, tensors

from glo.data import Dataset
from glo.errors import UserError
from glo.latents.init import fit_pca
from glo.runs.checkpoint import (
    newest_checkpoint,
    remove_unfinished,
    restore_training,
    save_checkpoint,
)
from glo.training.loop import train
from glo.training.state import TrainState, init_train_state

FILES = ("decoder", "averaged", "optimizer", "rows-0-of-1", "statistics-0-of-1")
# Wide enough that Muon takes the matrices.
MATRICES = {"code_dim": 32, "width": 32}
VARIANTS = {
    "rows of Adam": {"code_betas": (0.5, 0.9)},
    "an average": {"ema_decay": 0.9},
    "matrices": MATRICES,
    "plain descent": {"decoder_optimizer": "sgd", "code_optimizer": "sgd", "code_lr": 1.0},
}


def trained(steps: int = 4, side: int = 8, **changes: object) -> TrainState:
    data, recipe = samples(side=side), settings(**changes)
    training = init_train_state(data, recipe, fit_pca(data, recipe.code_dim))
    advance(training, steps, data)
    return training


def advance(training: TrainState, steps: int, data: Dataset | None = None) -> None:
    goal = training.step + steps
    for _ in train(training, data or samples()):
        if training.step == goal:
            return


def stored(folder: Path) -> dict[str, torch.Tensor]:
    files = folder.glob("*.safetensors")
    return {f"{p.stem}/{name}": value for p in files for name, value in load_file(p).items()}


def save(root: Path, training: TrainState, *, finished: bool = False) -> Path:
    return save_checkpoint(root, training, finished=finished, facts={"seconds": 1.5})


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_every_tensor_comes_back(tmp_path: Path, changes: dict[str, object]) -> None:
    before = trained(**changes)
    save(tmp_path / "a", before)
    found = newest_checkpoint(tmp_path / "a")
    assert found is not None
    after = restore_training(found, before.settings)
    save(tmp_path / "b", after)
    again = newest_checkpoint(tmp_path / "b")
    assert again is not None
    assert (again.step, again.finished, again.facts) == (4, False, {"seconds": 1.5})
    assert_same(stored(found.folder), stored(again.folder))
    assert stored(found.folder)["statistics-0-of-1/sums"].abs().sum() > 0


def test_moments_are_saved_and_lie_in_memory_as_their_weights(tmp_path: Path) -> None:
    before = trained(side=16, **MATRICES)
    save(tmp_path, before)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    after = restore_training(found, before.settings)
    pairs = list(zip(before.decoder.parameters(), after.decoder.parameters(), strict=True))
    assert {type(part).__name__ for part in after.optimizer.optimizers} == {"MatrixMuon", "Adam"}
    assert all(new.stride() == old.stride() for old, new in pairs)
    states = [each.optimizer.state.values() for each in (before, after)]
    for old_state, new_state in zip(*states, strict=True):
        assert old_state
        assert set(new_state) == set(old_state)
        for name, want in old_state.items():
            assert want.abs().sum() > 0
            assert torch.equal(new_state[name], want)
            assert new_state[name].stride() == want.stride()


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_restored_training_goes_on_bit_for_bit(tmp_path: Path, changes: dict[str, object]) -> None:
    stays = trained(**changes)
    save(tmp_path, stays)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    restored = restore_training(found, stays.settings)
    for training in (stays, restored):
        advance(training, 5)
        assert training.step == 9
    assert_same(stored(save(tmp_path / "a", stays)), stored(save(tmp_path / "b", restored)))


def test_steps_skipped_before_a_checkpoint_are_counted_after_it(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    recipe = settings(decoder="mlp", code_optimizer="sgd", decoder_optimizer="sgd")
    pca = fit_pca(Dataset(rows=rows, name="vectors"), recipe.code_dim)
    rows[7] = 1e30
    data = Dataset(rows=rows, name="one infinite loss")
    whole, parts = (init_train_state(data, recipe, pca) for _ in range(2))
    advance(whole, 12, data)
    while parts.step < 12:
        advance(parts, 1, data)
        save(tmp_path / "a", parts)
        found = newest_checkpoint(tmp_path / "a")
        assert found is not None
        parts = restore_training(found, recipe)
    # Once an epoch.
    assert whole.skipped == parts.skipped == 4
    assert_same(stored(save(tmp_path / "b", whole)), stored(save(tmp_path / "a", parts)))


def test_the_averaged_decoder_is_the_one_to_use(tmp_path: Path) -> None:
    training = trained(ema_decay=0.9)
    save(tmp_path, training)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    decoder = found.decoder()
    assert not decoder.training
    assert_same(decoder.state_dict(), training.final_decoder.state_dict())
    last = training.decoder.state_dict()
    assert any(not torch.equal(v, last[k]) for k, v in decoder.state_dict().items())
    assert torch.equal(found.codes(), training.codes)


def test_codes_stay_in_the_file_that_is_as_it_was_whatever_is_written_to_them(
    tmp_path: Path,
) -> None:
    training = trained()
    path = save(tmp_path, training) / "rows-0-of-1.safetensors"
    found, before = newest_checkpoint(tmp_path), path.read_bytes()
    assert found is not None
    codes = found.codes()
    assert_same({"codes": training.codes}, {"codes": codes})
    if sys.platform == "linux":
        assert str(path) in Path("/proc/self/maps").read_text()
    codes.zero_()
    assert path.read_bytes() == before
    assert found.codes().abs().sum() > 0


def test_only_the_last_two_are_kept_and_litter_goes(tmp_path: Path) -> None:
    training = trained(1)
    (tmp_path / ".writing-999999").mkdir()
    (tmp_path / ".removing-999999-final").mkdir()
    for _ in range(3):
        save(tmp_path, training)
        advance(training, 1)
    save(tmp_path, training, finished=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final", "step-000000000003"]


def test_none_where_there_never_was_one(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "checkpoint") is None


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of steps 2 and 4."""
    root = tmp_path_factory.mktemp("two")
    training = trained(2, ema_decay=0.9)
    save(root, training)
    advance(training, 2)
    save(root, training)
    return root


def edit_step(path: Path) -> None:
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"step": 3}))


def empty_list(path: Path) -> None:
    path.write_text("[]")


def no_json(path: Path) -> None:
    path.write_text("{")


def nothing_left(path: Path) -> None:
    path.write_bytes(b"")


def swap_with_older(path: Path) -> None:
    shutil.copy(path.parent.parent / "step-000000000002" / path.name, path)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "emptied": nothing_left,
    "first byte": lambda path: flip(path, 0.0),
    "middle byte": flip,
    "last byte": lambda path: flip(path, 1.0),
    "removed": Path.unlink,
    "of another step": swap_with_older,
}
CASES = [
    *(("rows-0-of-1.safetensors", damage) for damage in DAMAGES),
    *((f"{name}.safetensors", "middle byte") for name in FILES),
    *(("manifest.json", d) for d in ("cut", "emptied", "first byte", "middle byte", "removed")),
]


@pytest.mark.parametrize(("file", "damage"), CASES, ids=["-".join(case) for case in CASES])
def test_damage_is_found_and_the_one_before_used(
    two: Path, tmp_path: Path, file: str, damage: str
) -> None:
    root = shutil.copytree(two, tmp_path / "checkpoint")
    DAMAGES[damage](root / "step-000000000004" / file)
    found = newest_checkpoint(root)
    assert found is not None
    assert found.step == 2
    (note,) = found.notes
    assert "step-000000000004 is damaged" in note
    assert file in note
    assert note.endswith("; the checkpoint before it is used.")
    assert restore_training(found, settings(ema_decay=0.9)).step == 2


@pytest.mark.parametrize("damage", [edit_step, empty_list, no_json])
def test_an_edited_manifest_is_found(
    two: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    root = shutil.copytree(two, tmp_path / "checkpoint")
    damage(root / "step-000000000004" / "manifest.json")
    found = newest_checkpoint(root)
    assert found is not None
    assert found.step == 2
    assert "manifest.json" in found.notes[0]


def test_all_damaged_is_one_clear_mistake(two: Path, tmp_path: Path) -> None:
    root = shutil.copytree(two, tmp_path / "checkpoint")
    for folder in root.iterdir():
        flip(folder / "rows-0-of-1.safetensors")
    with pytest.raises(UserError, match="no whole checkpoint is left") as caught:
        newest_checkpoint(root)
    assert str(caught.value).count("is damaged") == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("good_files", range(len(FILES) - 1))
def test_no_space_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good_files: int
) -> None:
    training = trained(2)
    save(tmp_path, training)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    advance(training, 2)
    flush, left = os.fsync, iter(range(good_files))

    def full(file: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    monkeypatch.setattr("glo.utils.safetensors_io.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, training)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.notes) == (2, ())


def test_a_step_can_be_saved_again(tmp_path: Path) -> None:
    training = trained(2)
    for _ in range(2):
        save(tmp_path, training)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000000002"]


class Killed(BaseException):
    """In the place of a signal: nothing catches it, and what runs on the way out is undone."""


def test_the_only_one_is_not_lost_when_its_step_is_saved_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trained(2)
    target = save(tmp_path, training)
    rename, kept = Path.rename, tmp_path / "kept"

    def killed(path: Path, to: Path) -> Path:
        if to == target:
            # As a kill would leave it: before anything is cleared on the way out.
            shutil.copytree(tmp_path, kept)
            raise Killed
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(Killed):
        save(tmp_path, training)
    monkeypatch.undo()
    assert newest_checkpoint(kept) is None
    remove_unfinished(kept)
    assert [path.name for path in kept.iterdir()] == [target.name]
    found = newest_checkpoint(kept)
    assert found is not None
    assert (found.step, found.notes) == (2, ())


def test_what_is_damaged_does_not_take_the_place_of_the_last_two(tmp_path: Path) -> None:
    training = trained(1)
    first = save(tmp_path, training)
    kept = shutil.copytree(first, tmp_path.parent / "kept")
    for _ in range(2):
        advance(training, 3)
        flip(save(tmp_path, training) / "decoder.safetensors")
    # Killed before the third last one was removed; then the last two are damaged.
    shutil.copytree(kept, first)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, len(found.notes)) == (1, 2)
    again = restore_training(found, training.settings)
    advance(again, 1)
    save(tmp_path, again)
    after = newest_checkpoint(tmp_path)
    assert after is not None
    assert (after.step, after.notes) == (2, ())
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["1", "2"]


def test_builders_see_every_tensor(tmp_path: Path) -> None:
    training = trained(2, ema_decay=0.9)
    save(tmp_path / "checkpoint", training)
    names = {name.split("/")[0] for name in tensors(tmp_path)}
    assert names == set(FILES)

"""Damaged checkpoints: flipped bytes, truncated, removed and edited files."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.faults.case import Attempt, Case
from benchmarks.faults.forked_run import at_name, run_forked
from benchmarks.faults.together import run_together

__all__ = ["damage_all", "damage_each_file", "edit_manifest", "remove_shards"]

_MANIFEST = "manifest.json"
Degradation = Callable[[Path, random.Random], None]


def damage_each_file(cases: Sequence[Case], rng: random.Random, most: int) -> Iterator[Attempt]:
    """Damage each file of the newest checkpoint in turn, of interrupted and finished runs.

    The same command must name the file, use the checkpoint before, and end with the same bits.

    Args:
        cases: the runs.
        rng: which byte is flipped, and where a file is cut.
        most: how many files of all these checkpoints, chosen at random.
    """
    likes = [(case, like) for case in cases for like in (_cut_off(case), case.whole)]
    files = [(*each, path.name) for each in likes for path in sorted(_newest(each[1]).iterdir())]
    for fault, damage in _DAMAGES.items():
        for case, like, name in rng.sample(files, min(most, len(files))):
            yield _try(case, like, fault, name, damage, rng)


def remove_shards(case: Case, rng: random.Random, most: int) -> Iterator[Attempt]:
    """Remove each file of one of several processes in turn."""
    likes = (_cut_off(case), case.whole)
    files = [(like, path.name) for like in likes for path in sorted(_newest(like).glob("*-of-*"))]
    for like, name in rng.sample(files, min(most, len(files))):
        yield _try(case, like, "a removed shard of two processes", name, _remove, rng)


def edit_manifest(case: Case, rng: random.Random, most: int) -> Iterator[Attempt]:
    """Edit the manifest of the newest checkpoint, to valid and invalid JSON."""
    like = _cut_off(case)
    for edit in rng.sample(_EDITS, min(most, len(_EDITS))):
        yield _try(case, like, "an edited manifest", _MANIFEST, edit, rng)


def damage_all(case: Case, rng: random.Random) -> Iterator[Attempt]:
    """Damage all checkpoints: the command must report it and change nothing."""
    out = case.new(_cut_off(case))
    for folder in _checkpoints(out):
        _flip(folder / "decoder.safetensors", rng)
    before = _bytes(out)
    ended = run_forked(case.command(out))
    lost = ""
    if ended.code != 2 or "no whole checkpoint is left" not in ended.text:
        lost = f"it ended with {ended.code}: {ended.text[-500:]}"
    elif _bytes(out) != before:
        lost = "the damaged files were changed"
    yield Attempt("a flipped byte in all checkpoints (refused)", lost)


def _try(
    case: Case, like: Path, fault: str, name: str, damage: Degradation, rng: random.Random
) -> Attempt:
    out = case.new(like)
    folder = _newest(out)
    damage(folder / name, rng)
    ended, lost = case.resume(out)
    said = [line for line in ended.text.splitlines() if f"{folder} is damaged" in line]
    if not lost and not (
        said and name in said[0] and "the checkpoint before it is used" in said[0]
    ):
        lost = f"{name} was not named: {ended.text[:500]}"
    if not lost:
        case.drop(out)
    return Attempt(fault, lost and f"{case.name}, {folder.name}, {name}: {lost}")


def _cut_off(case: Case) -> Path:
    """Return a run killed just before the rename of its checkpoint number 8."""
    out = case.folder / "cut-off"
    if not out.exists():
        if case.ranks > 1:
            # These save at every tenth step.
            ready = [lambda: at_name("step-000000000030")] * case.ranks
            run_together(case.command(out), case.ranks, ready)
        else:
            run_forked(case.command(out), lambda: at_name("step-000000000008"))
        assert len(_checkpoints(out)) == 2, "it was cut off between two saves"
    return out


def _checkpoints(out: Path) -> list[Path]:
    folders = (path for path in (out / "checkpoint").iterdir() if not path.name.startswith("."))
    return sorted(folders, key=lambda path: (path.name != "final", path.name))


def _newest(out: Path) -> Path:
    folders = _checkpoints(out)
    return folders[0] if folders[0].name == "final" else folders[-1]


def _bytes(out: Path) -> dict[str, bytes]:
    folders = _checkpoints(out)
    return {str(p): p.read_bytes() for folder in folders for p in folder.iterdir()}


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.choice([0, len(content) - 1, rng.randrange(len(content))])])


def _remove(path: Path, rng: random.Random) -> None:
    path.unlink()


_DAMAGES: dict[str, Degradation] = {
    "a flipped byte": _flip,
    "a torn file": _cut,
    "a removed file": _remove,
}


def _set(name: str, value: object) -> Degradation:
    def edit(path: Path, rng: random.Random) -> None:
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {name: value}), "utf-8")

    return edit


def _leave_out_a_file(path: Path, rng: random.Random) -> None:
    manifest = json.loads(path.read_text("utf-8"))
    del manifest["files"][rng.choice(sorted(manifest["files"]))]
    path.write_text(json.dumps(manifest), "utf-8")


_EDITS: list[Degradation] = [
    _leave_out_a_file,
    *(_set(name, 3) for name in ("step", "ranks", "shards", "files", "seal", "skipped")),
    _set("finished", True),
    _set("facts", {"seconds": -1.0}),
    lambda path, rng: path.write_text("[]", "utf-8") and None,
    lambda path, rng: path.write_text('{"format": 1}', "utf-8") and None,
    lambda path, rng: path.write_text("{" * 100_000, "utf-8") and None,
]

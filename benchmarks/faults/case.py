"""A small reference run, and the comparison of disturbed runs with it."""

import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from benchmarks.faults.forked_run import Outcome, count_changes, run_forked
from benchmarks.faults.together import run_together
from safetensors.torch import load_file

from glo.errors import UserError
from glo.runs.checkpoint import Checkpoint, newest_checkpoint

__all__ = ["Attempt", "Case", "difference", "make_cases", "newest"]

# Values that differ between sessions.
_TIMES = re.compile(r".*seconds|elapsed|images_per_second|peak_memory_mb")
_RECIPE = ["--code-dim", "3", "--width", "4", "--refine-passes", "1", "--prior", "gaussian"]
_RECIPE += ["--checkpoint-seconds", "0", "--device", "cpu", "--precision", "float32"]


@dataclass(frozen=True)
class Attempt:
    """One injected fault.

    Attributes:
        fault: its name in the table.
        lost: what was lost, in a sentence; empty when it was survived.
    """

    fault: str
    lost: str = ""


@final
@dataclass(frozen=True)
class Case:
    """A run repeated under faults.

    Attributes:
        name: of the run.
        words: of the command line, without --out.
        folder: where runs of this case are made; `whole` in it is the undisturbed one.
        ranks: how many processes train it.
        seconds: how long the undisturbed run took.
        changes: how many changes of files it made.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    ranks: int = 1
    seconds: float = 0.0
    changes: int = 0
    made: list[int] = field(default_factory=list)

    @property
    def whole(self) -> Path:
        """The undisturbed run."""
        return self.folder / "whole"

    def command(self, out: Path) -> list[str]:
        """Return the command-line arguments that start and resume a run."""
        return ["train", *self.words, "--out", str(out)]

    def new(self, like: Path | None = None) -> Path:
        """Return the folder of a new run, or of a copy of a run."""
        self.made.append(1)
        out = self.folder / f"run-{len(self.made):04d}"
        return out if like is None else shutil.copytree(like, out)

    def resume(self, out: Path, words: Sequence[str] = ()) -> tuple[Outcome, str]:
        """Run the command again, undisturbed, and compare with the reference run.

        Returns:
            how it ended, and what is wrong, in words; empty when nothing is.
        """
        if self.ranks > 1:
            ended = run_together(self.command(out), self.ranks)[0]
        else:
            ended = run_forked([*self.command(out), *words])
        if ended.code != 0:
            return ended, f"the same command ended with {ended.code}: {ended.text[-500:]}"
        return ended, difference(self.whole, out)

    def drop(self, out: Path) -> None:
        """Remove a correct run."""
        shutil.rmtree(out)


def newest(out: Path) -> Checkpoint | None:
    """Return the newest checkpoint of a run, or None."""
    return newest_checkpoint(out / "checkpoint")


def difference(whole: Path, out: Path) -> str:
    """Return the first difference between two finished runs, or an empty string.

    Weights, codes, moments, errors and priors must be the same bits; figures and records the same
    numbers, but for times; and the folder must hold the same files and no others.
    """
    names, found = (
        sorted(str(p.relative_to(each)) for p in each.rglob("*")) for each in (whole, out)
    )
    if names != found:
        return f"missing {set(names) - set(found)}, left behind {set(found) - set(names)}"
    try:
        checkpoint = newest(out)
    except UserError as error:
        return str(error)
    if checkpoint is None or not checkpoint.finished or checkpoint.notes:
        return f"the newest checkpoint is not the final one: {checkpoint}"
    for path in sorted(whole.rglob("*.safetensors")):
        other = load_file(out / path.relative_to(whole))
        for name, value in load_file(path).items():
            if not _same_bits(value, other[name]):
                return f"{name} of {path.name} differs"
    for name in ("summary.json", "metrics.jsonl"):
        one, two = (_figures((each / name).read_text("utf-8")) for each in (whole, out))
        if one != two:
            return f"{name} differs"
    return ""


def _same_bits(one: torch.Tensor, two: torch.Tensor) -> bool:
    same = one.dtype == two.dtype and one.shape == two.shape
    return same and one.numpy().tobytes() == two.numpy().tobytes()


def _figures(text: str) -> list[Any]:
    objects = [json.loads(text)] if text.startswith("{\n") else map(json.loads, text.splitlines())
    return [{k: v for k, v in each.items() if not _TIMES.fullmatch(k)} for each in objects]


def make_cases(folder: Path) -> Iterator[Case]:
    """Yield the cases, each with its undisturbed run."""
    rng = np.random.default_rng(0)
    vectors, pictures = folder / "vectors.npy", folder / "pictures.npy"
    np.save(vectors, (rng.normal(size=(120, 4)) @ rng.normal(size=(4, 8))).astype("float32"))
    np.save(pictures, rng.integers(0, 256, (60, 8, 8), dtype="uint8"))
    few = [*_RECIPE, "--batch-size", "40", "--epochs", "4"]
    many = [*_RECIPE, "--batch-size", "12", "--epochs", "3"]
    kinds: list[tuple[str, list[str], int]] = [
        ("vectors", [str(vectors), *few], 1),
        ("images", [str(pictures), *few, "--ema-decay", "0.9", "--code-memory-gib", "0"], 1),
        ("two processes", [str(vectors), *many, "--shards", "2"], 2),
    ]
    for name, words, ranks in kinds:
        place = folder / name.replace(" ", "-")
        place.mkdir()
        yield _undisturbed(Case(name=name, words=tuple(words), folder=place, ranks=ranks))


def _undisturbed(case: Case) -> Case:
    if case.ranks > 1:
        ended = run_together(case.command(case.whole), case.ranks)[0]
        changes = 0
    else:
        ended = run_forked(case.command(case.whole), lambda: count_changes(case.whole))
        changes = int(ended.text.rsplit("changes: ", 1)[-1]) if ended.code == 0 else 0
    if ended.code != 0:
        raise SystemExit(f"The undisturbed run of {case.name} failed: {ended.text}")
    summary = json.loads((case.whole / "summary.json").read_text("utf-8"))
    assert math.isfinite(summary["mse"]), "an undisturbed run is finite"
    return replace(case, seconds=ended.seconds, changes=changes)

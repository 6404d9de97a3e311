"""Points of a code space as a person names them: a row, a label, a sample, the mean, a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError, suggest
from glo.inversion import InitialCodes, finish
from glo.latents.constraints import project
from glo.runs.run import Run
from glo.utils.row_ranges import check_row
from glo.workflows.encode import prepare_search, search
from glo.workflows.inputs import Inputs, open_inputs

__all__ = ["CodePoint", "CodePoints"]

_KINDS = ("label:", "sample:", "mean")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CodePoint:
    """A code, and where it comes from.

    Attributes:
        word: as it was named.
        code: (D,); it satisfies the run's constraint.
        row: of the training example whose code it is.
        seen: (*shape), of a file, the example itself.
        residual: of a file, the mean squared error of what the decoder makes of the code.
    """

    word: str
    code: Tensor
    row: int | None = None
    seen: Tensor | None = None
    residual: float | None = None


@final
class CodePoints:
    """Find the codes of points in a run.

    Args:
        run: the run.
        seed: of the samples.

    Example:
        >>> from glo.runs.run import open_run
        >>> points = CodePoints(open_run("runs/mnist"))  # doctest: +SKIP
        >>> points.find("label:7").code.shape  # doctest: +SKIP
        torch.Size([32])
    """

    def __init__(self, run: Run, *, seed: int = 0) -> None:
        self.run = run
        self.seed = seed

    def find(self, word: str) -> CodePoint:
        """Return the point that a word names.

            12         the code of training example 12
            label:7    the mean of the codes of that label, by number or name
            sample:3   sample number 3 of the run's prior and of the seed
            mean       the mean of all codes
            one.png    a file of one example, whose code is searched for

        A file with a name such as `12` is named by `./12`.

        Raises:
            UserError: it names nothing, or the run has no such row, label or prior.
        """
        if re.fullmatch(r"-?\d+", word):
            return self._row(word)
        if word == "mean":
            return self._made(word, self.run.codes.mean(0))
        if word.startswith("label:"):
            return self._label(word)
        if word.startswith("sample:"):
            return self._sample(word)
        return self._file(word)

    def find_all(self, words: Sequence[str]) -> list[CodePoint]:
        """Return the points that words name, in their order."""
        return [self.find(word) for word in words]

    @cached_property
    def _starts(self) -> InitialCodes:
        return prepare_search(self.run)

    def _made(self, word: str, code: Tensor) -> CodePoint:
        held = project(code.unsqueeze(0), self.run.settings.constraint)[0]
        return CodePoint(word=word, code=held)

    def _row(self, word: str) -> CodePoint:
        row = int(word)
        check_row(row, len(self.run.codes))
        return CodePoint(word=word, code=self.run.codes[row], row=row)

    def _label(self, word: str) -> CodePoint:
        label = self.run.label_classifier.number(word.removeprefix("label:"))
        rows = self.run.label_classifier.training_labels == label
        if not bool(rows.any()):
            raise UserError(f"No training example has {word}; choose another label.")
        return self._made(word, self.run.codes[rows].mean(0))

    def _sample(self, word: str) -> CodePoint:
        number = word.removeprefix("sample:")
        if not re.fullmatch(r"\d{1,9}", number):
            raise UserError(f"{word} is no sample; give its number, from sample:0 on.")
        drawn = self.run.prior().sample(1, seed=self.seed, start=int(number))
        return self._made(word, drawn[0])

    def _file(self, word: str) -> CodePoint:
        seen, row = _open(self.run, word), torch.zeros(1, dtype=torch.int64)
        target, observed = seen.samples.batch(row), seen.samples.observed(row)
        found = finish(search(self.run, target, starts=self._starts, observed=observed))
        code, residual = found.codes[0].cpu(), float(found.residual[0])
        return CodePoint(word=word, code=code, seen=target[0], residual=residual)


def _open(run: Run, word: str) -> Inputs:
    if not _exists(word):
        raise UserError(
            f"'{word}' is no point; give the row of a training example, label:LABEL, "
            f"sample:NUMBER, mean, or a file that exists.{suggest(word, _KINDS)}"
        )
    seen = open_inputs(run, [word], limit=2)
    if len(seen) != 1:
        raise UserError(f"{word} holds several examples, and a point is one; give a file of one.")
    return seen


def _exists(word: str) -> bool:
    try:
        return Path(word).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False

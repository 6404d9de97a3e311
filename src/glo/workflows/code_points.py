"""Points of a code space by name: a row, a label, a sample, the mean, or a file."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.inversion import InitialCodes
from glo.latents.constraints import project
from glo.runs.run import Run
from glo.workflows.encode import encode, prepare_search
from glo.workflows.inputs import open_inputs

__all__ = ["CodePoint", "CodePoints"]

_KINDS = ("label:", "sample:", "mean")
_ROW = re.compile(r"-?\d+|(row|id):.*", re.DOTALL)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CodePoint:
    """Code (D,) with its origin.

    Attributes:
        row: row number of a training example; None for other points.
        example: (*shape), example of a file; None for other points.
        residual: mean squared error of the decoded code of a file; None for other points.
    """

    name: str
    code: Tensor
    row: int | None = None
    example: Tensor | None = None
    residual: float | None = None


@final
class CodePoints:
    """Named points of a finished run's code space; `seed` determines the samples."""

    def __init__(self, run: Run, *, seed: int = 0) -> None:
        self.run = run
        self.seed = seed

    def find(self, name: str) -> CodePoint:
        """Return the point of a name.

            12         the code of training example 12
            cat/1.png  the code of the training example of that identity
            label:7    the mean of the codes of a class, by its name
            sample:3   sample number 3 of the run's prior for the seed
            mean       the mean of all codes
            one.png    a file of one example, whose code is searched for

        "row:" and "id:" in front state that a name is a row number or an identity, "./" that it is
        a file; a name that is both an identity and a file is refused.

        Raises:
            UserError: an unknown name, or a run without such a row, label or prior.
        """
        if name == "mean":
            code = self.run.codes.mean(0)
        elif name.startswith("label:"):
            code = self._label(name)
        elif name.startswith("sample:"):
            code = self._sample(name)
        elif _ROW.fullmatch(name) or name in self.run.row_ids:
            return self._example(name)
        else:
            return self._file(name)
        return CodePoint(name=name, code=project(code[None], self.run.settings.constraint)[0])

    def _example(self, name: str) -> CodePoint:
        if not _ROW.fullmatch(name) and os.path.exists(name):
            raise UserError(
                f"'{name}' is a training example and a file; write id:{name} for the former, and "
                f"{os.path.abspath(name)} for the latter."
            )
        row = self.run.row_ids.find(name)
        return CodePoint(name=name, code=self.run.codes[row], row=row)

    @cached_property
    def _initial_codes(self) -> InitialCodes:
        return prepare_search(self.run)

    def _label(self, name: str) -> Tensor:
        label = self.run.label_classifier.number(name.removeprefix("label:"))
        rows = self.run.label_classifier.training_labels == label
        if not bool(rows.any()):
            raise UserError(f"No training example has {name}; choose another label.")
        return self.run.codes[rows].mean(0)

    def _sample(self, name: str) -> Tensor:
        number = name.removeprefix("sample:")
        if not re.fullmatch(r"\d{1,9}", number):
            raise UserError(f"{name} is not a sample; give an integer, such as sample:0.")
        return self.run.prior().sample(1, seed=self.seed, start=int(number))[0]

    def _file(self, name: str) -> CodePoint:
        if not os.path.exists(os.path.expanduser(name)):
            raise UserError(
                f"'{name}' is not a point; give the row or identity of a training example, "
                f"label:LABEL, sample:NUMBER, mean, or a file that exists."
                f"{self.run.row_ids.suggest(name, _KINDS)}"
            )
        dataset = open_inputs(self.run, [name], limit=2).dataset
        if len(dataset) != 1:
            raise UserError(f"{name} has several examples; give a file of one example.")
        row = torch.zeros(1, dtype=torch.int64)
        x, mask = dataset.batch(row), dataset.observed(row)
        inversion = encode(self.run, x, self._initial_codes, mask=mask)
        residual = float(inversion.residuals[0])
        return CodePoint(name=name, code=inversion.codes[0], example=x[0], residual=residual)

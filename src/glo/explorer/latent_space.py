"""The code space of one checkpoint: what the page shows of it, each thing computed once.

Everything here may be asked for by several requests at the same time.
"""

from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from glo.decoders.decode import decode
from glo.explorer.once_cache import OnceCache
from glo.explorer.projections import chart, chart_methods
from glo.explorer.protocol import packed, packed_codes
from glo.explorer.scheduler import Scheduler, YieldingDecoder
from glo.explorer.training_examples import Labels, NotThere, TrainingExamples, read_labels
from glo.inversion import InitialCodes, decode_initial_codes
from glo.latents.constraints import project
from glo.latents.directions import Directions, principal_directions
from glo.latents.neighbours import neighbours
from glo.priors import LabelClassifier, Prior
from glo.runs.run import Run
from glo.training.refine import squared_errors
from glo.utils.device import find_device
from glo.utils.random import permutation

__all__ = ["LatentSpace"]

# Points on the map: more are neither seen apart nor drawn fast.
_POINTS = 4000
_DIRECTIONS = 12
# Codes that the directions are fitted to: the sums are in float64.
_FITTED = 100_000
_NEIGHBOURS = 8
# Decoded in one turn: the last of a grid come a little later, and who drags is not held up.
_BLOCK = 32


@final
class LatentSpace:
    """A run as its newest checkpoint has it.

    Args:
        run: opened anew, with a checkpoint.
        originals: its data, which outlive a checkpoint.
        turns: whose turn it is to compute.
    """

    def __init__(self, run: Run, originals: TrainingExamples, turns: Scheduler) -> None:
        self.run, self.originals, self._turns = run, originals, turns
        self._kept = OnceCache()
        self.finished = run.checkpoint.finished and run.summary is not None
        self.priors = list(run.fitted_priors) if run.checkpoint.finished else []
        # Those of an earlier end are no longer true of a run that goes on.
        self._saved = run.errors if self.finished else None
        # Read now: a run in training removes old checkpoints.
        self.codes = run.codes.float()
        run.decoder.requires_grad_(False).to(find_device("auto"))

    @property
    def labels(self) -> Labels:
        """The labels of the examples."""
        return self._kept.get("labels", lambda: read_labels(self.run, self.originals))

    @cached_property
    def shown(self) -> Tensor:
        """Rows on the map, int64, rising."""
        return permutation(len(self.codes), 0, 0)[:_POINTS].sort().values

    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes, (B, D), brought under the constraint, as soon as may be.

        Returns:
            float32 (B, *shape) in the units of the data.
        """
        run, parts = self.run, []
        for part in project(codes, run.settings.constraint).split(_BLOCK):
            with self._turns.soon():
                parts.append(decode(run.decoder, part, run.settings.precision))
        return run.in_units(torch.cat(parts))

    @property
    def known_labels(self) -> LabelClassifier:
        """What predicts the label of a code.

        Raises:
            UserError: the run was trained without labels.
        """
        return self.run.label_classifier

    def prior(self, name: str) -> Prior:
        """Return one of `priors`."""
        return self._kept.get(f"prior {name}", lambda: self.run.prior(name))

    def chart(self, method: str) -> dict[str, Any]:
        """Return a map of the codes by one of `chart_methods`.

        Raises:
            NotThere: it is none of them.
        """
        if method not in chart_methods(self.codes):
            known = ", ".join(chart_methods(self.codes))
            raise NotThere(f"There is no map {method[:40]!r} here; choose one of {known}.")
        return self._kept.get(f"map {method}", lambda: self._chart(method))

    def _chart(self, method: str) -> dict[str, Any]:
        codes, labels = self.codes[self.shown], self.labels.rows
        return {
            "method": method,
            "n": len(self.codes),
            "rows": packed(self.shown.numpy(), "<i4"),
            "xy": packed(chart(codes, self.directions, method), "<f4"),
            "codes": packed_codes(codes),
            "labels": None if labels is None else packed(labels[self.shown.numpy()], "<i4"),
            "sprites": None,
        }

    @property
    def directions(self) -> Directions:
        """The widest directions of the codes; none where there is one code."""
        return self._kept.get("directions", self._directions)

    def _directions(self) -> Directions:
        rows = permutation(len(self.codes), 0, 0)[:_FITTED]
        codes = self.codes[rows]
        if len(codes) < 2:
            empty = torch.zeros(0)
            return Directions(
                mean=codes[0],
                components=torch.zeros(0, codes.shape[1]),
                deviations=empty,
                shares=empty,
            )
        return principal_directions(codes, min(_DIRECTIONS, *codes.shape))

    def near(self, code: Tensor, *, but: int | None = None) -> list[dict[str, Any]]:
        """Return the training examples whose codes are nearest to one, (D,)."""
        rows, distances = neighbours(self.codes, code, _NEIGHBOURS + (but is not None))
        found = [
            {"row": row, "distance": distance, "label": self.labels.of(row)}
            for row, distance in zip(rows.tolist(), distances.tolist(), strict=True)
            if row != but
        ]
        return found[:_NEIGHBOURS]

    @property
    def starts(self) -> InitialCodes:
        """Where searches begin; some seconds of work, done in the background if there is time.

        Raises:
            UserError: the run is not finished, or has one code.
        """
        self.run.check_finished(
            unfinished="its codes and decoder still change",
            single="a search needs two codes to begin at",
        )
        decoder = YieldingDecoder(self.run.decoder, self._turns)
        precision = self.run.settings.precision
        return self._kept.get(
            "starts", lambda: decode_initial_codes(decoder, self.codes, precision=precision)
        )

    @property
    def errors(self) -> tuple[Tensor, Tensor, str]:
        """Rows, int64, their squared errors, and whether these were saved or computed.

        Raises:
            NotThere: they were not saved, and the data are not at hand.
        """
        return self._kept.get("errors", self._errors)

    def _errors(self) -> tuple[Tensor, Tensor, str]:
        if self._saved is not None:
            return torch.arange(len(self._saved)), self._saved, "saved"
        samples, rows = self.originals.require(), self.shown
        errors = squared_errors(
            YieldingDecoder(self.run.decoder, self._turns),
            self.codes[rows],
            samples.subset(rows),
            self.run.settings,
        )
        return rows, errors, "computed"

    def error_of(self, row: int) -> float | None:
        """Return the squared error of an example, where it was saved."""
        return None if self._saved is None else float(self._saved[row])

    @property
    def typical_error(self) -> float | None:
        """The median of the errors, where they are known without further work."""
        known = self._saved is not None or "errors" in self._kept
        return float(self.errors[1].median()) if known else None

    def warm(self) -> None:
        """Do what searches and tables will need, one after the other."""
        _ = self.directions, self.labels
        if not self.finished:
            return
        if len(self.codes) > 1:
            _ = self.starts
        if self.originals.samples is not None:
            _ = self.errors

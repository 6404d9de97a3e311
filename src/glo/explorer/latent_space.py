"""Code space of one checkpoint: maps, directions, neighbours, errors, each computed once.

Several requests may use it at the same time.
"""

from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from glo.decoders.decode import decode
from glo.encoders import Encoder
from glo.explorer.protocol import NotFound, array_to_base64
from glo.explorer.scheduler import Scheduler, YieldingDecoder, compute_once
from glo.explorer.training_examples import Labels, TrainingExamples, read_labels
from glo.inversion import InitialCodes, decode_initial_codes
from glo.latents.constraints import project
from glo.latents.directions import Directions, principal_directions
from glo.latents.neighbours import neighbours
from glo.priors import Prior
from glo.runs.code_map import fit_tsne, fitted_rows, place_codes, read_code_map
from glo.runs.run import Run
from glo.training.evaluation import squared_errors
from glo.utils.device import find_device
from glo.utils.random import permutation
from glo.workflows.anomaly import fit_anomaly_model

# Points on the map, and bytes of their codes, which the page downloads.
_MAX_POINTS, _MAX_CODE_BYTES = 60_000, 32 * 2**20
# Rows whose errors are computed where none are saved, and fewest rows on the map.
_MIN_POINTS = 4000
_MAX_DIRECTIONS = 12
# Codes that the directions are fitted to: the sums are in float64.
_MAX_FITTED = 100_000
_NEIGHBOURS = 8
# UMAP and t-SNE need neighbours, a third of the codes at most.
_MIN_CODES = 12
# Rows decoded in one turn, so that a large grid does not delay a drag on the map.
_BLOCK = 32


@final
class LatentSpace:
    """Code space of the newest checkpoint of a run, opened after that was written."""

    def __init__(self, run: Run, examples: TrainingExamples, scheduler: Scheduler) -> None:
        self.run, self.examples, self._scheduler = run, examples, scheduler
        self.finished = run.checkpoint.finished and run.summary is not None
        self.priors = list(run.fitted_priors) if run.checkpoint.finished else []
        # Errors saved by an earlier end are outdated in a run that continues.
        self._saved_errors = run.errors if self.finished else None
        # The median error, once errors are known.
        self.typical_error = None if self._saved_errors is None else _median(self._saved_errors)
        # Read now: a run in training removes old checkpoints.
        self.codes = run.codes.float()
        self.row_ids = run.row_ids
        run.decoder.requires_grad_(False).to(find_device("auto"))

    @property
    def can_search(self) -> bool:
        """Whether codes of further images can be searched for."""
        return self.finished and len(self.codes) > 1 and self.run.is_images

    @property
    @compute_once
    def labels(self) -> Labels:
        """Labels of the examples."""
        return read_labels(self.run, self.examples)

    @cached_property
    def map_rows(self) -> Tensor:
        """Rows on the map, int64, ascending."""
        fitting = _MAX_CODE_BYTES // (4 * self.codes.shape[1])
        return self._random_rows(min(_MAX_POINTS, max(_MIN_POINTS, fitting)))

    def _random_rows(self, count: int) -> Tensor:
        return permutation(len(self.codes), 0, 0)[:count].sort().values

    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes, (B, D), projected first, to examples in the units of the data."""
        run, parts = self.run, []
        for part in project(codes, run.settings.constraint).split(_BLOCK):
            with self._scheduler.interactive():
                parts.append(decode(run.decoder, part, run.settings.precision))
        return run.in_units(torch.cat(parts))

    @compute_once
    def prior(self, name: str) -> Prior:
        """Return one of `priors`."""
        return self.run.prior(name)

    @cached_property
    def _stored_map(self) -> Tensor | None:
        return read_code_map(self.run.folder, self.codes) if self.finished else None

    @property
    def map_methods(self) -> list[str]:
        """Methods of maps: t-SNE first where the run has stored it, else the fastest first."""
        if len(self.codes) < _MIN_CODES or self.codes.shape[1] < 3:
            return ["pca"]
        others = ["umap"] if find_spec("umap") else []
        if self._stored_map is not None:
            return ["tsne", "pca", *others]
        return ["pca", *others, "tsne"]

    @compute_once
    def map(self, method: str) -> dict[str, Any]:
        """Return a map of the codes by one of `map_methods`, or raise NotFound."""
        methods = self.map_methods
        if method not in methods:
            raise NotFound(
                f"There is no map {method[:40]!r} here; choose one of {', '.join(methods)}."
            )
        labels, rows = self.labels.rows, self.map_rows.numpy()
        return {
            "method": method,
            "n": len(self.codes),
            "rows": array_to_base64(rows, "<i4"),
            "xy": array_to_base64(self._places(method).numpy(), "<f4"),
            "labels": None if labels is None else array_to_base64(labels[rows], "<i4"),
            "ids": None if self.row_ids.ids is None else self.row_ids.subset(self.map_rows).names,
            "sprites": None,
        }

    def _places(self, method: str) -> Tensor:
        """Return the places of `map_rows` in the plane, float32 (m, 2).

        t-SNE and UMAP are fitted to some of many codes; each other one lies at the trimmed mean
        of the nearest of them.
        """
        codes = self.codes[self.map_rows]
        if method == "pca":
            scores = (codes - self.directions.mean) @ self.directions.components[:2].T
            # One code has no direction, and codes of one number have one.
            return functional.pad(scores, (0, 2 - scores.shape[1]))
        rows = fitted_rows(len(self.codes))
        fitted = self.codes[rows]
        if method == "umap":
            places = _fit_umap(fitted)
        else:
            places = fit_tsne(fitted) if self._stored_map is None else self._stored_map
        if len(rows) == len(codes):
            return places
        points = place_codes(codes, fitted, places)
        points[torch.isin(self.map_rows, rows)] = places
        return points

    @property
    @compute_once
    def directions(self) -> Directions:
        """Principal directions of the codes; none where there is one code."""
        codes = self.codes[permutation(len(self.codes), 0, 0)[:_MAX_FITTED]]
        if len(codes) < 2:
            return Directions(
                mean=codes[0],
                components=torch.zeros(0, codes.shape[1]),
                deviations=torch.zeros(0),
                shares=torch.zeros(0),
            )
        return principal_directions(codes, min(_MAX_DIRECTIONS, *codes.shape))

    def nearest(self, code: Tensor, *, exclude: int | None = None) -> list[dict[str, Any]]:
        """Return the training examples with the nearest codes to one, (D,), but for a row."""
        rows, distances = neighbours(self.codes, code, _NEIGHBOURS + (exclude is not None))
        nearest = [
            self.about(row) | {"distance": distance}
            for row, distance in zip(rows.tolist(), distances.tolist(), strict=True)
            if row != exclude
        ]
        return nearest[:_NEIGHBOURS]

    @property
    @compute_once
    def encoder(self) -> Encoder | None:
        """The run's encoder on the device of the decoder, or None."""
        encoder = self.run.encoder
        return None if encoder is None else encoder.to(find_device("auto"))

    @property
    @compute_once
    def initial_codes(self) -> InitialCodes:
        """Initial codes of searches in a finished run; some seconds of background work."""
        decoder = YieldingDecoder(self.run.decoder, self._scheduler)
        return decode_initial_codes(decoder, self.codes, precision=self.run.settings.precision)

    @property
    @compute_once
    def errors(self) -> tuple[Tensor, Tensor, str]:
        """Rows, int64 (m,), their squared errors, float32 (m,), and "saved" or "computed"."""
        if self._saved_errors is not None:
            return torch.arange(len(self._saved_errors)), self._saved_errors, "saved"
        dataset, rows = self.examples.require(), self._random_rows(_MIN_POINTS)
        decoder = YieldingDecoder(self.run.decoder, self._scheduler)
        errors = squared_errors(decoder, self.codes[rows], dataset.subset(rows), self.run.settings)
        self.typical_error = _median(errors)
        return rows, errors, "computed"

    @property
    @compute_once
    def anomaly(self) -> Tensor | None:
        """Anomaly scores of all examples, float32 (N,), or None where no errors are saved."""
        if self._saved_errors is None or len(self.codes) < 2:
            return None
        model = fit_anomaly_model(self.run)
        scores = model.score(self.codes, self._saved_errors)
        return torch.from_numpy(scores.anomaly).float()

    def about(self, row: int) -> dict[str, Any]:
        """Return number, label and identity, unless that is its number, of an example."""
        name = None if self.row_ids.ids is None else self.row_ids.of(row)
        return {"row": row, "id": name, "label": self.labels.of(row)}

    def error_of(self, row: int) -> float | None:
        """Return the squared error of an example, or None unless it was saved."""
        return None if self._saved_errors is None else float(self._saved_errors[row])

    def precompute(self) -> None:
        """Compute the inputs of searches and tables, one after the other."""
        _ = self.directions, self.labels
        if not self.finished:
            return
        _ = self.encoder
        if len(self.codes) > 1:
            _ = self.initial_codes
        if self.examples.dataset is not None:
            _ = self.errors


def _median(errors: Tensor) -> float:
    return float(errors.median())


def _fit_umap(codes: Tensor) -> Tensor:
    n_neighbors = min(15, (len(codes) - 1) // 3)
    model: Any = import_module("umap").UMAP(n_neighbors=n_neighbors, random_state=0)
    return torch.from_numpy(model.fit_transform(codes.numpy())).float()

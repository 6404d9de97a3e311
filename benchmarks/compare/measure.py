"""Measures of every method against the same test images."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import Any, final

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.features import find_features
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.problem import Problem
from safetensors.torch import load_file
from torch import Tensor

from glo.data import to_uint8
from glo.features.base import Features, embed
from glo.inversion import InversionOptions, decode_initial_codes, invert
from glo.metrics.fid_kid import frechet_distance, kernel_distance
from glo.metrics.memorisation import MemorisationTest
from glo.metrics.prdc import precision_recall_density_coverage
from glo.utils.files import atomic_write
from glo.utils.row_ranges import evenly_spaced
from glo.utils.safetensors_io import write_tensors

__all__ = ["KEPT", "Judge"]

_BATCH = 500
# Images kept of each method.
KEPT = 20


@final
class Judge:
    """Evaluator of methods; features of the real images are computed once.

    Args:
        problem: the task.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @property
    def about(self) -> str:
        """Description of the feature network."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Features, str]:
        return find_features(self.problem)

    @cached_property
    def _test(self) -> Tensor:
        rows = evenly_spaced(len(self.problem.test), self._n_test)
        return self._features(self.problem.test.batch(rows))

    @cached_property
    def _train(self) -> Tensor:
        # On disk too: they cost as much as a method's measures, and a study may be many processes.
        path = self.problem.shared / "models" / "training-features.safetensors"
        if not path.is_file():
            whole = self.problem.whole
            rows = torch.arange(len(whole)).split(_BATCH)
            found = embed(self._found[0], (whole.batch(part) for part in rows))
            with atomic_write(path) as writing:
                write_tensors(writing, {"features": found}, {})
        return load_file(path)["features"][: len(self.problem.train)]

    @cached_property
    def _copies(self) -> MemorisationTest:
        name = self._found[0].name
        return MemorisationTest(self._train, self._test, features=name, seed=self.problem.seed)

    @property
    def _n_test(self) -> int:
        return min(self.problem.n_samples, len(self.problem.test))

    def floor(self) -> dict[str, Any]:
        """Return the measures of training images in place of samples, and the held-out images."""
        images = self.problem.train.batch(self.problem.rebuilt_rows)
        return {
            "features": self.about,
            **self.samples(images),
            "heldout": to_uint8(self.problem.heldout[:KEPT]),
        }

    def samples(self, images: Tensor) -> dict[str, Any]:
        """Return the measures of samples, and some of the samples.

        Args:
            images: (n, C, H, W) in [-1, 1].
        """
        found = self._features(images)
        kernel, spread = kernel_distance(self._test, found, seed=self.problem.seed)
        return {
            "fd": frechet_distance(found, self._test),
            "kd": kernel,
            "kd_spread": spread,
            "n_samples": len(found),
            "n_test": self._n_test,
            **asdict(precision_recall_density_coverage(self._test, found)),
            "memorisation": asdict(self._copies(found)),
            "samples": to_uint8(images[:KEPT]),
        }

    def model(self, model: LatentModel, *, rebuilds: bool, searches: bool) -> dict[str, Any]:
        """Return the errors of a model on training and on held-out images.

        Args:
            model: the model.
            rebuilds: whether its codes belong to the training images.
            searches: whether codes of the held-out images are searched for.
        """
        row: dict[str, Any] = {}
        if rebuilds:
            rows = self.problem.rebuilt_rows
            rebuilt = model.decode(model.codes[rows])
            row["train_mse"] = _error(rebuilt, self.problem.train.batch(rows))
            row["fd_rebuilt"] = frechet_distance(self._features(rebuilt), self._test)
        if model.has_encoder:
            row |= self._heldout("encoder", lambda x: model.decode(model.encode(x)))
        if searches:
            decoder = model.networks["decoder"]
            starts = decode_initial_codes(decoder, model.codes)
            options = InversionOptions(constraint=model.constraint)

            def search(images: Tensor) -> Tensor:
                return invert(decoder, images, starts, options=options).reconstructions

            row |= self._heldout("search", search)
        return row

    def _heldout(self, way: str, rebuild: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Return error, images per CPU second, and some of the images."""
        images, watch = self.problem.heldout, Stopwatch()
        found = rebuild(images)
        return {
            f"{way}_mse": _error(found, images),
            f"{way}_per_second": len(images) / watch.cpu,
            f"heldout_{way}": to_uint8(found[:KEPT]),
        }

    def _features(self, images: Tensor) -> Tensor:
        return embed(self._found[0], images.split(_BATCH))


def _error(found: Tensor, images: Tensor) -> float:
    return float((found - images).square().double().mean())

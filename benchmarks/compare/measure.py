"""Measures of every method against the same test images."""

from dataclasses import asdict
from functools import cached_property
from typing import Any, final

import torch
from benchmarks.compare.features import find_features
from benchmarks.compare.problem import Made, Problem
from safetensors.torch import load_file
from torch import Tensor

from glo.features.base import embed
from glo.metrics.fid_kid import frechet_distance, kernel_distance
from glo.metrics.memorisation import MemorisationTest
from glo.metrics.prdc import precision_recall_density_coverage
from glo.utils.files import atomic_write
from glo.utils.row_ranges import evenly_spaced
from glo.utils.safetensors_io import write_tensors

__all__ = ["Judge"]

_BATCH = 500


@final
class Judge:
    """Evaluator of methods; features of the real images are computed once.

    Args:
        problem: the task.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @cached_property
    def about(self) -> str:
        """Description of the feature network."""
        return self._found[1]

    @cached_property
    def _found(self) -> Any:
        return find_features(self.problem)

    @cached_property
    def _test(self) -> Tensor:
        rows = evenly_spaced(len(self.problem.test), self._n_test)
        return self._features(self.problem.test.batch(rows))

    @cached_property
    def _train(self) -> Tensor:
        # On disk too: they cost as much as a method's measures, and a study may be many processes.
        path = self.problem.folder / "models" / "training-features.safetensors"
        if not path.is_file():
            rows = torch.arange(len(self.problem.train)).split(_BATCH)
            found = embed(self._found[0], (self.problem.train.batch(part) for part in rows))
            with atomic_write(path) as writing:
                write_tensors(writing, {"features": found}, {})
        return load_file(path)["features"]

    @cached_property
    def _copies(self) -> MemorisationTest:
        name = self._found[0].name
        return MemorisationTest(self._train, self._test, features=name, seed=self.problem.seed)

    @property
    def _n_test(self) -> int:
        return min(self.problem.n_samples, len(self.problem.test))

    def floor(self) -> Made:
        """Return the measures of training images in place of samples, the reference."""
        images = self.problem.train.batch(self.problem.rebuilt_rows)
        return Made(samples=images, rebuilt=images, training={"cpu": 0.0, "wall": 0.0})

    def __call__(self, made: Made) -> dict[str, Any]:
        """Return every measure of a result, ready for JSON."""
        samples = self._features(made.samples)
        kernel, spread = kernel_distance(self._test, samples, seed=self.problem.seed)
        found: dict[str, Any] = {
            "fd_samples": frechet_distance(samples, self._test),
            "kd_samples": kernel,
            "kd_spread": spread,
            "n_samples": len(samples),
            "n_test": self._n_test,
        }
        found |= asdict(precision_recall_density_coverage(self._test, samples))
        found["memorisation"] = asdict(self._copies(samples))
        if made.rebuilt is not None:
            originals = self.problem.train.batch(self.problem.rebuilt_rows)
            found["train_mse"] = float((made.rebuilt - originals).square().double().mean())
            found["fd_rebuilt"] = frechet_distance(self._features(made.rebuilt), self._test)
        return found

    def _features(self, images: Tensor) -> Tensor:
        return embed(self._found[0], images.split(_BATCH))

"""Abstract prior: a density fitted to codes, from which new codes are drawn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.utils.random import normal
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["Prior", "check_codes", "check_positive"]

_BLOCK = 128
T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class Prior(ABC):
    """A density on codes: a map from standard normal noise to codes.

    Args:
        constraint: constraint of the codes; samples satisfy it too.

    Attributes:
        name: name on the command line and on disk.
        tensors: names of the fitted attributes, without their last underscore.
        config: keyword arguments of the constructor, ready for JSON.
    """

    name: ClassVar[str]
    tensors: ClassVar[tuple[str, ...]] = ()
    constraint: Constraint = "free"

    @property
    def config(self) -> dict[str, Any]:
        """Keyword arguments of the constructor, ready for JSON."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    @abstractmethod
    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Fit the density to `codes`, (N, D), yielding the fraction of the work done, up to 1."""

    @property
    @abstractmethod
    def noise_dim(self) -> int:
        """Length of the noise vector of one sample.

        Raises:
            UserError: the prior is not fitted.
        """

    @abstractmethod
    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Map noise to samples before the constraint.

        Args:
            noise: float32 (B, noise_dim).
            temperature: factor of the spread, above 0.

        Returns:
            float32 (B, D); row j depends on row j of the noise alone.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Return the fitted tensors by name."""
        return {name: self._fitted(getattr(self, f"{name}_")) for name in self.tensors}

    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Set the fitted tensors to those of `state_dict`, and return the prior itself."""
        for name in self.tensors:
            setattr(self, f"{name}_", state[name])
        return self

    def fit(self, codes: Tensor, *, seed: int = 0) -> Self:
        """Fit the density to `codes`, (N, D), and return the prior itself.

        Raises:
            UserError: fewer than two codes, or NaN or infinity among them.
        """
        for _ in self.fit_iter(codes, seed=seed):
            pass
        return self

    @with_torch_defaults
    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0, start: int = 0, temperature: float = 1.0) -> Tensor:
        """Draw codes; sample j of a seed is the same in any batch.

        Args:
            n: number of samples, 1 or more.
            seed: seed of the sequence of samples.
            start: index of the first sample in that sequence.
            temperature: factor of the spread; below 1 samples are more typical and less diverse.

        Returns:
            float32 (n, D), each on the constraint.

        Raises:
            UserError: n or temperature is not positive, or the prior is not fitted.
        """
        if n < 1 or not 0 < temperature < math.inf:
            raise UserError(
                f"n is {n} and temperature {temperature:g}; both must be above 0 and finite."
            )
        # The last bits of a matrix product depend on its number of rows and on the position of a
        # row. Samples are therefore computed in the same blocks always, and the rest is cut off.
        first, last = start // _BLOCK, -(-(start + n) // _BLOCK)
        blocks = [
            self.from_noise(
                normal(seed, block * _BLOCK, _BLOCK, self.noise_dim, stream="samples"),
                temperature=temperature,
            )
            for block in range(first, last)
        ]
        return project(torch.cat(blocks)[start - first * _BLOCK :][:n], self.constraint)

    def _fitted(self, value: T | None) -> T:
        """Return `value`, or raise UserError if it is None."""
        if value is None:
            raise UserError(f"This {self.name} prior is not fitted; call fit(codes) first.")
        return value


def check_codes(codes: Tensor) -> Tensor:
    """Return `codes` in float64, or raise UserError unless they are finite, (N, D), N >= 2."""
    if codes.ndim != 2 or len(codes) < 2:
        shape = tuple(codes.shape)
        raise UserError(f"codes have shape {shape}; a prior needs (N, D) with at least two rows.")
    if not bool(torch.isfinite(codes).all()):
        raise UserError("codes contain NaN or infinity; a prior needs finite codes.")
    return codes.double()


def check_positive(prior: Prior, *names: str) -> None:
    """Raise UserError for the first of the settings `names` that is not above 0 and finite."""
    for name in names:
        value = getattr(prior, name)
        if not 0 < value < math.inf:
            raise UserError(f"{name} is {value}; it must be above 0.")

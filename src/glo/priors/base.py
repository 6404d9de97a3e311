"""What every prior is: a density fitted on codes, from which new codes are drawn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.priors.serialization import write_tensors_with_checksum
from glo.utils.random import normal

__all__ = ["Prior", "save_prior"]

_BLOCK = 128


class Prior(ABC):
    """A density on codes: a map that turns standard normal noise into codes.

    Args:
        constraint: what held for the codes; it holds for the samples too.

    Attributes:
        name: how the prior is called on the command line and on disk.
        config: keyword arguments that rebuild it, ready for JSON.
    """

    name: ClassVar[str]

    def __init__(self, *, constraint: Constraint = "free") -> None:
        self.constraint: Constraint = constraint

    @property
    def config(self) -> dict[str, Any]:
        """Keyword arguments that rebuild this prior, but for what it learns; ready for JSON."""
        # A constructor stores each of its keywords under its own name.
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    @abstractmethod
    def fit_iter(self, codes: Tensor, *, seed: int = 0) -> Iterator[float]:
        """Learn the density of `codes`, (N, D), yielding the share that is done, up to 1."""

    @property
    @abstractmethod
    def noise_dim(self) -> int:
        """How many normal numbers one sample takes.

        Raises:
            UserError: the prior was not fitted.
        """

    @abstractmethod
    def from_noise(self, noise: Tensor, *, temperature: float) -> Tensor:
        """Turn noise into samples before the constraint.

        Args:
            noise: float32 (B, noise_dim).
            temperature: factor of the spread.

        Returns:
            float32 (B, D); row j depends on row j of the noise alone.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what was learned."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned, and return the prior itself."""

    def fit(self, codes: Tensor, *, seed: int = 0) -> Self:
        """Learn the density of `codes`, (N, D), and return the prior itself.

        Raises:
            UserError: fewer than two codes, or NaN or infinity among them.
        """
        for _ in self.fit_iter(codes, seed=seed):
            pass
        return self

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0, start: int = 0, temperature: float = 1.0) -> Tensor:
        """Draw codes; sample j of a seed is the same in any batch.

        Args:
            n: how many.
            seed: which sequence of samples.
            start: number of the first sample in that sequence.
            temperature: factor of the spread; below 1 the samples are more typical and alike.

        Returns:
            float32 (n, D), each on the constraint.

        Raises:
            UserError: n or temperature is not positive, or the prior was not fitted.
        """
        if n < 1 or not 0 < temperature < math.inf:
            raise UserError(
                f"n is {n} and temperature {temperature:g}; both must be above 0 and finite."
            )
        # The last bits of a matrix product depend on how many rows it has and on which of them
        # a sample is. So samples are always made in the same blocks, and the rest is cut off.
        first, last = start // _BLOCK, -(-(start + n) // _BLOCK)
        drawn = torch.cat(
            [
                self.from_noise(
                    normal(seed, block * _BLOCK, _BLOCK, self.noise_dim, stream="samples"),
                    temperature=temperature,
                )
                for block in range(first, last)
            ]
        )
        return project(drawn[start - first * _BLOCK :][:n], self.constraint)


def save_prior(prior: Prior, folder: Path) -> Path:
    """Write a prior to `folder`/`name`.safetensors, whole or not at all, and return the path."""
    about: dict[str, Any] = {"name": prior.name, "config": prior.config}
    return write_tensors_with_checksum(
        folder / f"{prior.name}.safetensors", about, prior.state_dict()
    )


def check_codes(codes: Tensor) -> Tensor:
    """Return `codes` in float64, or raise UserError unless they are finite, (N, D), N >= 2."""
    if codes.ndim != 2 or len(codes) < 2:
        shape = tuple(codes.shape)
        raise UserError(f"codes have shape {shape}; a prior needs (N, D) with at least two rows.")
    if not bool(torch.isfinite(codes).all()):
        raise UserError("codes hold NaN or infinity; a prior needs finite codes.")
    return codes.double()

"""Row-wise optimizers: each code has its own moments and step count."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["RowAdam", "RowRule", "RowSGD"]


class RowRule(ABC):
    """How one row moves along its own gradient; the state of a row moves only with that row."""

    @abstractmethod
    def shapes(self, n: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return the shapes and dtypes of the state of `n` rows of length `dim`, rows first."""

    def new_state(self, n: int, dim: int, store: RowStore = IN_MEMORY) -> dict[str, Tensor]:
        """Return the state of `n` rows of length `dim` that have never moved: zeros, rows first."""
        made = self.shapes(n, dim).items()
        return {name: store.zeros(name, shape, dtype) for name, (shape, dtype) in made}

    def row_bytes(self, dim: int) -> int:
        """Return the bytes of one code and its state."""
        parts = self.shapes(1, dim).values()
        state = sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in parts)
        return 4 * dim + state

    @abstractmethod
    def step(self, state: dict[str, Tensor], rows: Tensor, gradient: Tensor, lr: float) -> Tensor:
        """Update the state of `rows` in place and return what to add to their codes, (B, D)."""


@final
class RowSGD(RowRule):
    """Plain gradient descent: z <- z - lr g.

    Example:
        >>> RowSGD().step({}, torch.tensor([0]), torch.ones(1, 2), 0.5)
        tensor([[-0.5000, -0.5000]])
    """

    def shapes(self, n: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return nothing: plain descent remembers nothing."""
        return {}

    def step(self, state: dict[str, Tensor], rows: Tensor, gradient: Tensor, lr: float) -> Tensor:
        """Return -lr g, (B, D)."""
        return -lr * gradient


@final
class RowAdam(RowRule):
    """Adam with moments and a step count of each row's own.

    A dense Adam would move every row at every step, by the momentum of gradients long past, and
    count steps in which a row took no part. Here a row that is not in the batch is not touched.

    Args:
        betas: decay of the first and of the second moment, each in [0, 1).
        eps: added to the root of the second moment.

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    Example:
        >>> rule = RowAdam()
        >>> state = rule.new_state(4, 2)
        >>> rule.step(state, torch.tensor([2]), torch.tensor([[0.3, -7.0]]), 0.1)
        tensor([[-0.1000,  0.1000]])
        >>> state["count"]
        tensor([0, 0, 1, 0], dtype=torch.int32)
    """

    def __init__(self, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.betas = betas
        self.eps = eps

    def shapes(self, n: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return those of the moments, (n, dim) each, and of the counts, (n,)."""
        moments = ["second"] if self.betas[0] == 0.0 else ["first", "second"]
        whole: tuple[tuple[int, ...], torch.dtype] = ((n, dim), torch.float32)
        return dict.fromkeys(moments, whole) | {"count": ((n,), torch.int32)}

    def step(self, state: dict[str, Tensor], rows: Tensor, gradient: Tensor, lr: float) -> Tensor:
        """Return -lr m / (sqrt(v) + eps), moments corrected for their start at zero, (B, D)."""
        b1, b2 = self.betas
        count = state["count"][rows] + 1
        state["count"][rows] = count
        t = count.double().unsqueeze(1)
        second = state["second"][rows].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        state["second"][rows] = second
        # With no first moment to keep (b1 = 0) m is the gradient: a third of the memory is saved.
        first = gradient
        if b1 > 0.0:
            first = state["first"][rows].mul_(b1).add_(gradient, alpha=1 - b1)
            state["first"][rows] = first
            first = first / (1 - b1**t).float()
        root = (second / (1 - b2**t).float()).sqrt_().add_(self.eps)
        return -lr * first / root

"""The code table: one free latent code per example, with its own optimiser state.

Row i of the table belongs to row i of the data. A step gathers the rows of its batch, and writes
back only those: their codes, moments and step counts. Nothing here costs more when N grows.
"""

from abc import ABC, abstractmethod
from typing import Literal, Self, final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["Constraint", "LatentCodes", "RowAdam", "RowRule", "RowSGD", "project"]

Constraint = Literal["ball", "sphere", "free"]

# Rows that are looked at at a time where all are.
_BLOCK = 2**16


def project(codes: Tensor, constraint: Constraint) -> Tensor:
    """Move each code to the nearest point that satisfies the constraint.

    ball: z / max(|z|, 1); sphere: z / |z|; free: z. A code of length zero has no nearest point on
    the sphere; it goes to the first axis.

    Args:
        codes: (B, D).
        constraint: which one.

    Returns:
        (B, D).

    Reference:
        Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018,
        section 3.

    Example:
        >>> project(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), "ball")
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    if constraint == "free":
        return codes
    if constraint == "ball":
        inside: Tensor = codes / codes.norm(dim=1, keepdim=True).clamp(min=1.0)
        return inside
    axis = torch.zeros_like(codes)
    axis[:, 0] = 1.0
    # In float32 the squares of very small or large numbers would vanish or overflow.
    norm = codes.double().norm(dim=1, keepdim=True)
    unit = (codes / norm).to(codes.dtype)
    return torch.where(norm > 0, unit, axis)


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


@final
class LatentCodes:
    """N codes of D numbers, and what their optimiser remembers of each.

    Args:
        codes: (N, D) float32, the initial codes; projected onto the constraint here.
        rule: how a row moves.
        constraint: what holds for every row after every update.
        state: the rule's state of each row, when the codes are taken as they are; new when omitted.
        store: where codes and state lie.

    Raises:
        UserError: codes are not a finite (N, D) table with at least one row and one column.

    Example:
        >>> table = LatentCodes(torch.zeros(3, 2), rule=RowSGD(), constraint="ball")
        >>> rows = torch.tensor([1])
        >>> table.update(rows, torch.tensor([[-0.5, 0.0]]), lr=1.0)
        tensor([[0.5000, -0.0000]])
        >>> table.codes
        tensor([[0.0000, 0.0000],
                [0.5000, 0.0000],
                [0.0000, 0.0000]])
    """

    def __init__(
        self,
        codes: Tensor,
        *,
        rule: RowRule,
        constraint: Constraint,
        state: dict[str, Tensor] | None = None,
        store: RowStore = IN_MEMORY,
    ) -> None:
        if codes.ndim != 2 or 0 in codes.shape:
            shape = tuple(codes.shape)
            raise UserError(f"codes have shape {shape}; they must be (N, D), neither being zero.")
        if not all(bool(torch.isfinite(part).all()) for part in codes.split(_BLOCK)):
            raise UserError("codes hold NaN or infinity; every initial code must be finite.")
        self.codes = codes if state is not None else project(codes.float(), constraint).clone()
        self.rule = rule
        self.constraint: Constraint = constraint
        self.store = store
        self.state = rule.new_state(len(codes), codes.shape[1]) if state is None else state

    @classmethod
    def begin(cls, codes: Tensor, rule: RowRule, constraint: Constraint, store: RowStore) -> Self:
        """Return a table of codes that lie in a store, moved onto the constraint where they are."""
        state = rule.new_state(len(codes), codes.shape[1], store)
        table = cls(codes, rule=rule, constraint=constraint, state=state, store=store)
        table.project_all()
        return table

    def __len__(self) -> int:
        return len(self.codes)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the codes of `rows`, (B, D), as a leaf that collects a gradient."""
        return self.codes[rows].requires_grad_()

    @torch.no_grad()
    def update(self, rows: Tensor, gradient: Tensor, lr: float, *, keep: bool = True) -> Tensor:
        """Move `rows` along their gradients and back onto the constraint; touch no other row.

        Args:
            rows: (B,) int64, no number twice.
            gradient: (B, D), each row that of its own loss.
            lr: step size.
            keep: whether the constraint is enforced now.

        Returns:
            (B, D), what was added to each code before the constraint.
        """
        change = self.rule.step(self.state, rows, gradient, lr)
        moved = self.codes[rows] + change
        self.codes[rows] = project(moved, self.constraint) if keep else moved
        self.store.touch(len(rows))
        return change

    @torch.no_grad()
    def restart(self, rows: Tensor, codes: Tensor) -> None:
        """Give rows other codes, as if they had never moved; for codes that have gone astray."""
        self.codes[rows] = project(codes, self.constraint)
        for value in self.state.values():
            value[rows] = 0

    @torch.no_grad()
    def project_all(self) -> None:
        """Move every code onto the constraint."""
        for part in self.codes.split(_BLOCK):
            part.copy_(project(part, self.constraint))
            self.store.touch(len(part))

    @torch.no_grad()
    def joined(self, codes: Tensor) -> "LatentCodes":
        """Return a table with more codes at its end, which have never moved; old rows are the same.

        Example:
            >>> table = LatentCodes(torch.zeros(3, 2), rule=RowAdam(), constraint="ball")
            >>> table.joined(torch.ones(1, 2)).state["count"]
            tensor([0, 0, 0, 0], dtype=torch.int32)
        """
        fresh = LatentCodes(codes, rule=self.rule, constraint=self.constraint)
        return LatentCodes(
            torch.cat([self.codes, fresh.codes]),
            rule=self.rule,
            constraint=self.constraint,
            state={name: torch.cat([old, fresh.state[name]]) for name, old in self.state.items()},
        )

    def subset(self, rows: Tensor) -> "LatentCodes":
        """Return a table of some rows alone, in the order given: codes, moments and counts."""
        return LatentCodes(
            self.codes[rows],
            rule=self.rule,
            constraint=self.constraint,
            state={name: value[rows] for name, value in self.state.items()},
        )

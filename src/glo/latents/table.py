"""The code table: one free latent code per example, with its own optimiser state.

Row i of the table belongs to row i of the data. A step gathers the rows of its batch, and writes
back only those: their codes, moments and step counts. Nothing here costs more when N grows.
"""

from typing import Self, final

import torch
from torch import Tensor

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.latents.optim import RowRule
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["LatentCodes"]


# Rows that are looked at at a time where all are.
_BLOCK = 2**16


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
        >>> from glo.latents.optim import RowSGD
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
            >>> from glo.latents.optim import RowAdam
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

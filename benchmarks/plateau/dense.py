"""Dense Adam over all codes, as `tf.train.AdamOptimizer` on one variable does it.

The package has none on purpose: its Adam is per row. This one is here to be compared with.
"""

import torch
from torch import Tensor

from glo.latents.constraints import project
from glo.latents.optim import RowSGD
from glo.latents.table import LatentCodes

__all__ = ["DenseAdamTable"]

_EPS = 1e-8


class DenseAdamTable(LatentCodes):  # type: ignore[misc]
    """Codes whose optimiser sees one (N, D) tensor: every row moves at every step.

    A row that is not in the batch has gradient zero, but its momentum goes on moving it, its second
    moment decays, and one count of steps serves all rows.

    Args:
        like: the table whose codes and constraint are taken over.
        betas: decay of the two moments.

    Example:
        >>> like = LatentCodes(torch.zeros(3, 1), rule=RowSGD(), constraint="free")
        >>> table = DenseAdamTable(like, (0.9, 0.999))
        >>> for row in (0, 1):
        ...     _ = table.update(torch.tensor([row]), torch.ones(1, 1), 0.1)
        >>> table.codes.flatten()
        tensor([-0.1670, -0.0744,  0.0000])
    """

    def __init__(self, like: LatentCodes, betas: tuple[float, float]) -> None:
        super().__init__(like.codes, rule=RowSGD(), constraint=like.constraint)
        self.betas = betas
        self.first = torch.zeros_like(self.codes)
        self.second = torch.zeros_like(self.codes)
        self.steps = 0

    @torch.no_grad()
    def update(self, rows: Tensor, gradient: Tensor, lr: float, *, keep: bool = True) -> Tensor:
        """Move all rows; return what was added to those of the batch, (B, D)."""
        b1, b2 = self.betas
        self.steps += 1
        self.first.mul_(b1)
        self.second.mul_(b2)
        self.first[rows] += (1 - b1) * gradient
        self.second[rows] += (1 - b2) * gradient.square()
        root = (self.second / (1 - b2**self.steps)).sqrt_().add_(_EPS)
        change = -lr * self.first / (1 - b1**self.steps) / root
        moved = self.codes + change
        self.codes.copy_(project(moved, self.constraint) if keep else moved)
        return change[rows]

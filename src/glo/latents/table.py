"""Table of latent codes: one free code per example, as an `nn.Module`.

Row i of the table belongs to row i of the data. A step gathers the rows of its batch, and its
gradient is sparse: it names these rows alone, so no cost grows with N.
"""

from collections.abc import Iterator
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from glo.errors import UserError
from glo.latents.constraints import Constraint, project
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["LatentCodes", "row_blocks"]

# Rows processed at a time where all are.
_BLOCK = 2**16


@final
class LatentCodes(nn.Module):
    """N latent codes of D numbers, with row-sparse gradients.

    The objective of GLO is a sum of N problems, one per code, under a shared decoder. In a mean
    over the batch, as a training step takes it for the decoder, the gradient of a code is divided
    by B; `forward` multiplies it by B again, so a code's gradient is that of its own loss at every
    batch size.

    Args:
        codes: (N, D), the initial codes, copied as float32 and projected onto the constraint.
        constraint: "ball" (|z| <= 1), "sphere" (|z| = 1) or "free"; kept by `project_`.

    Attributes:
        weight: the codes, float32 parameter (N, D).

    Raises:
        UserError: codes are not a finite (N, D) table with at least one row and one column.

    Reference:
        Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018,
        equation 1.

    Example:
        >>> from glo.latents.optim import RowSGD
        >>> codes = LatentCodes(torch.zeros(3, 2))
        >>> optimizer = RowSGD(codes.parameters(), lr=1.0)
        >>> rows = torch.tensor([1])
        >>> codes(rows).mul(torch.tensor([-0.5, 0.0])).sum(dim=1).mean().backward()
        >>> optimizer.step()
        >>> codes.project_(rows).weight.detach()
        tensor([[0.0000, 0.0000],
                [0.5000, 0.0000],
                [0.0000, 0.0000]])
    """

    @with_torch_defaults
    def __init__(self, codes: Tensor, *, constraint: Constraint = "ball") -> None:
        super().__init__()
        if codes.ndim != 2 or 0 in codes.shape:
            shape = tuple(codes.shape)
            raise UserError(f"codes have shape {shape}; they must be (N, D), neither being zero.")
        if not all(bool(torch.isfinite(part).all()) for part in codes.split(_BLOCK)):
            raise UserError("codes hold NaN or infinity; every initial code must be finite.")
        self.constraint: Constraint = constraint
        self.weight = nn.Parameter(project(codes.detach().float(), constraint).clone())

    @classmethod
    def from_storage(cls, codes: Tensor, constraint: Constraint) -> Self:
        """Make a table whose weight is `codes` itself, neither copied, projected nor checked."""
        table = cls(torch.zeros(1, 1), constraint=constraint)
        table.weight = nn.Parameter(codes)
        return table

    def __len__(self) -> int:
        return len(self.weight)

    def extra_repr(self) -> str:
        """Return N, D and the constraint for `repr`."""
        return f"{len(self)}, {self.weight.shape[1]}, constraint={self.constraint!r}"

    def forward(self, rows: Tensor, *, grad_scale: float | None = None) -> Tensor:
        """Gather the codes of `rows`.

        Args:
            rows: int64 (B,), each number once.
            grad_scale: factor of the gradient in the backward pass; None: B, for losses that are
                averaged over the batch.

        Returns:
            float32 (B, D).
        """
        codes = functional.embedding(rows.to(self.weight.device), self.weight, sparse=True)
        if codes.requires_grad:
            scale = len(rows) if grad_scale is None else grad_scale
            codes.register_hook(lambda gradient: gradient * scale)
        return codes

    @torch.no_grad()
    def project_(self, rows: Tensor | None = None, moves: Tensor | None = None) -> Self:
        """Project codes onto the constraint in place.

        Args:
            rows: int64 (B,); None: all rows.
            moves: bool (B,), rows to project; the others keep every bit. None: all of `rows`.
        """
        if self.constraint == "free":
            return self
        for block in row_blocks(len(self)) if rows is None else (rows,):
            codes = self.weight[block]
            projected = project(codes, self.constraint)
            if moves is not None:
                projected = torch.where(moves.unsqueeze(1), projected, codes)
            self.weight[block] = projected
        return self


@with_torch_defaults
def row_blocks(n: int) -> Iterator[Tensor]:
    """Yield the row numbers 0 to n - 1 in blocks, int64 (up to 65,536,) each."""
    yield from torch.arange(n).split(_BLOCK)

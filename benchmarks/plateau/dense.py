"""Dense Adam over all codes, as `tf.train.AdamOptimizer` on one variable computes it.

The package has none on purpose: its Adam is per row. This one is a baseline.
"""

from typing import Any, final

import torch
from torch import Tensor

from glo.latents.optim import RowOptimizer, row_gradient
from glo.latents.table import LatentCodes

__all__ = ["DenseAdam"]

_EPS = 1e-8


@final
class DenseAdam(RowOptimizer):
    """Adam on one (N, D) tensor: every row moves at every step.

    A row outside the batch has gradient zero, but its momentum still moves it, its second moment
    decays, and one step count serves all rows.

    Args:
        latents: codes to move.
        betas: decay of the two moments.
        project: whether a step projects all codes onto their constraint.

    Example:
        >>> codes = LatentCodes(torch.zeros(3, 1), constraint="free")
        >>> optimizer = DenseAdam(codes, (0.9, 0.999))
        >>> for row in (0, 1):
        ...     codes.zero_grad()
        ...     codes(torch.tensor([row])).sum().backward()
        ...     optimizer.param_groups[0]["lr"] = 0.1
        ...     optimizer.step()
        >>> codes.weight.detach().flatten()
        tensor([-0.1670, -0.0744,  0.0000])
    """

    def __init__(
        self, latents: LatentCodes, betas: tuple[float, float], *, project: bool = True
    ) -> None:
        super().__init__(latents.parameters(), {"lr": 0.0})
        self.latents, self.betas, self.project = latents, betas, project

    def state_shapes(self, n: int, dim: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Return the shapes of both moments and of the step count, the same for all rows."""
        whole = ((n, dim), torch.float32)
        return {"exp_avg": whole, "exp_avg_sq": whole, "step": ((n,), torch.int32)}

    def row_update(
        self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor:
        """Return the change of all rows, (N, D), for gradients (N, D)."""
        b1, b2 = self.betas
        state["step"] += 1
        steps, first, second = int(state["step"][0]), state["exp_avg"], state["exp_avg_sq"]
        first.mul_(b1).add_((1 - b1) * gradient)
        second.mul_(b2).add_((1 - b2) * gradient.square())
        root = (second / (1 - b2**steps)).sqrt_().add_(_EPS)
        return -group["lr"] * first / (1 - b1**steps) / root

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update all rows."""
        self.step_rows(*row_gradient(self.latents.weight))

    @torch.no_grad()
    def step_rows(self, rows: Tensor, gradient: Tensor, moves: Tensor | None = None) -> None:
        """Update all rows, unless none of the batch moves."""
        if moves is not None and not bool(moves.any()):
            return
        table = self.latents.weight
        whole = torch.zeros_like(table).index_copy_(0, rows, gradient)
        table += self.row_update(self.row_state(), whole, self.param_groups[0])
        if self.project:
            self.latents.project_()

"""The loss of flow matching, who judges it on held-out codes, and who lowers it."""

from typing import final

import torch
from torch import Tensor
from torch.optim import Adam, Muon

from glo.priors.base_distribution import BaseDistribution
from glo.priors.residual_mlp import private_generator
from glo.priors.velocity import VelocityNetwork
from glo.training.optim import JointOptimizer
from glo.utils.device import autocast

__all__ = ["Judge", "field_optimizer", "gaps", "matching_loss"]

_CPU = torch.device("cpu")


@final
class Judge:
    """The loss of a field on held-out codes, with the same pairs and times for every field.

    Args:
        ends: whitened codes, (B, D).
        origin: where the field begins.
        seed: of the pairs.
    """

    def __init__(self, ends: Tensor, origin: BaseDistribution, seed: int) -> None:
        generator = private_generator(seed + 1)
        # Every code is seen at every eighth of the time.
        self._ends = ends.repeat(8, 1)
        self._begins = origin.partners(*origin.belongs(self._ends), generator)
        self._times = (torch.arange(8) + 0.5) / 8

    @torch.no_grad()
    def __call__(self, field: VelocityNetwork) -> float:
        """Return the loss."""
        return float(matching_loss(field, self._begins, self._ends, self._times))


def gaps(rows: Tensor, others: Tensor) -> Tensor:
    """Return the distance of each of `rows`, (B, D), to the nearest of `others`, (M, D): (B,)."""
    return torch.cat([torch.cdist(some, others).amin(1) for some in rows.split(256)])


def matching_loss(field: VelocityNetwork, begins: Tensor, ends: Tensor, times: Tensor) -> Tensor:
    """Return the mean of (v(x_t, t) - (x_1 - x_0))^2; there is a group of rows for each time."""
    begins, ends = (rows.view(len(times), -1, rows.shape[1]) for rows in (begins, ends))
    points = torch.lerp(begins, ends, times[:, None, None])
    with autocast(_CPU, "auto"):
        velocity = field(points, times)
    loss: Tensor = (velocity.float() - (ends - begins)).square().mean()
    return loss


def field_optimizer(field: VelocityNetwork, lr: float) -> JointOptimizer:
    """Return the optimiser of a field's weights."""
    # Muon for the square matrices in the blocks, as for the decoder: it needs fewer updates.
    matrices = [layer.weight for layer in (*field.inner, *field.outer)]
    ours = {id(weight) for weight in matrices}
    others = [weight for weight in field.parameters() if id(weight) not in ours]
    return JointOptimizer(
        [
            Muon(matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            Adam(others, lr=lr, betas=(0.9, 0.99), fused=True),
        ]
    )

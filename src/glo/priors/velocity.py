"""The network of flow matching: the direction in which a point moves at a time."""

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["VelocityNetwork"]

_WAVES = 32
_FASTEST = 100.0


@final
class VelocityNetwork(nn.Module):
    """A residual network on points, told the time in every block: v(x, t).

    A block is h <- h + W2 silu(W1 (norm(h) (1 + s(t)) + b(t))). It begins as the zero field, since
    W2 and the last layer are zero.

    Args:
        dim: D, length of a point.
        width: length of h.
        blocks: how many.

    Example:
        >>> network = VelocityNetwork(3, width=8, blocks=1)
        >>> network(torch.zeros(2, 5, 3), torch.tensor([0.0, 0.5])).shape
        torch.Size([2, 5, 3])
    """

    waves: Tensor

    def __init__(self, dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.width = width
        waves = torch.linspace(0, math.log(_FASTEST), _WAVES).exp()
        self.register_buffer("waves", waves, persistent=False)
        self.clock = nn.Linear(2 * _WAVES, width)
        self.first = nn.Linear(dim, width)
        self.scales = nn.ModuleList(_zero(nn.Linear(width, 2 * width)) for _ in range(blocks))
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outer = nn.ModuleList(_zero(nn.Linear(width, width)) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.last = _zero(nn.Linear(width, dim))

    def forward(self, points: Tensor, times: Tensor) -> Tensor:
        """Return the velocity of `points`, (T, G, D), group i at time `times[i]`, (T,).

        What depends on the time alone is computed once for a group.
        """
        angles = 2 * times[:, None] * self.waves
        clock = functional.silu(self.clock(torch.cat([angles.cos(), angles.sin()], 1)))
        hidden = self.first(points)
        for scales, inner, outer in zip(self.scales, self.inner, self.outer, strict=True):
            scale, shift = scales(clock).unsqueeze(1).chunk(2, 2)
            ready = functional.layer_norm(hidden, (self.width,)) * (1 + scale) + shift
            hidden = hidden + outer(functional.silu(inner(ready)))
        out: Tensor = self.last(self.norm(hidden))
        return out


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer

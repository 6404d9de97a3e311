"""Residual multilayer perceptron."""

from typing import final

from torch import Tensor, nn

__all__ = ["ResidualMLP"]


@final
class ResidualMLP(nn.Module):
    """A residual network on vectors: h <- h + W2 silu(W1 norm(h)), `blocks` times.

    Args:
        inputs: length of an input vector.
        outputs: length of an output vector.
        width: length of h, and of the hidden layer of a block.
        blocks: number of residual blocks.

    Example:
        >>> import torch
        >>> ResidualMLP(3, 2, width=8, blocks=1)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(blocks))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        hidden = self.first(rows)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        out: Tensor = self.last(hidden)
        return out


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
    )

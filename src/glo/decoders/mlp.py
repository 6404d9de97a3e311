"""A multilayer perceptron for vectors."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from torch import Tensor, nn

from glo.decoders.base import Decoder, full_precision, positive
from glo.errors import UserError

__all__ = ["MLP"]


@final
class MLP(Decoder):
    """Decode vectors by linear layers with GELU between them.

    The output is linear, so its range is free. A run standardises the columns of its data, and the
    decoder keeps what was done: what it makes is `shift` and `scale` away from their own units.

    Args:
        code_dim: D.
        shape: (F,).
        hidden: widths of the hidden layers; none makes the decoder linear.
        standardised: whether it keeps means and deviations of the columns, at first 0 and 1.

    Raises:
        UserError: if the shape is not (F,), or a number is below 1.

    References:
        Hendrycks and Gimpel, "Gaussian error linear units" (2016), equation 1.

    Example:
        >>> import torch
        >>> MLP(code_dim=2, shape=(5,), hidden=(16,))(torch.zeros(3, 2)).shape
        torch.Size([3, 5])
    """

    name = "mlp"

    def __init__(
        self,
        *,
        code_dim: int,
        shape: Sequence[int],
        hidden: Sequence[int] = (256, 256),
        standardised: bool = False,
    ) -> None:
        widths = [positive("hidden", width) for width in hidden]
        super().__init__(code_dim=code_dim, shape=shape, hidden=widths)
        if len(self.shape) != 1:
            raise UserError(
                f"The MLP decoder makes vectors of shape (F,), not {self.shape}; "
                "use the decoder 'dcgan' for images."
            )
        self.sizes = (self.code_dim, *widths, self.shape[0])
        self.net = nn.Sequential(*_layers(self.sizes))
        # Files made before there was such a thing say nothing about it.
        if standardised:
            self.standardise()

    def forward(self, codes: Tensor) -> Tensor:
        """Return vectors (B, F) of any range."""
        return full_precision(self.net(self.checked(codes)))


def _layers(sizes: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.GELU()]
    return layers[:-1]

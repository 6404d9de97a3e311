"""Multilayer perceptron, the decoder of vectors."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from torch import Tensor, nn

from glo.decoders.base import Decoder, full_precision, positive
from glo.errors import UserError


@final
class MLP(Decoder):
    """Decode vectors by linear layers with GELU between them.

    The output is linear, so its range is free. A run standardizes the columns of its data and
    stores their means and deviations in the decoder: x = scale * output + shift in their units.

    Args:
        code_dim: D.
        shape: (F,).
        hidden: widths of the hidden layers; none makes the decoder linear.
        standardized: whether means and deviations of the columns are stored, at first 0 and 1.
        float64: whether they are float64.

    Raises:
        UserError: the shape is not (F,), or a number is below 1.

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
        standardized: bool = False,
        float64: bool = False,
    ) -> None:
        widths = [positive("hidden", width) for width in hidden]
        super().__init__(
            code_dim=code_dim,
            shape=shape,
            standardized=standardized,
            float64=float64,
            hidden=widths,
        )
        if len(self.shape) != 1:
            raise UserError(
                f"The MLP decoder makes vectors of shape (F,), not {self.shape}; "
                "use the decoder 'dcgan' for images."
            )
        layers: list[nn.Module] = []
        for before, after in pairwise((self.code_dim, *widths, self.shape[0])):
            layers += [nn.Linear(before, after), nn.GELU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, codes: Tensor) -> Tensor:
        """Return vectors (B, F) of any range."""
        return full_precision(self.net(self.checked(codes)))

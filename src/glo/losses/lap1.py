"""The Laplacian pyramid loss of the paper."""

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
from torch import Tensor

from glo.errors import UserError
from glo.losses.base import Loss, masked_difference, row_mean
from glo.losses.pyramid import laplacian_pyramid

__all__ = ["Lap1Loss"]

Weighting = Literal["coarse", "fine"]
SMALLEST_RESIDUAL = 4  # by default, the shorter side of the residual is at least this


@final
@dataclass(frozen=True, kw_only=True)
class Lap1Loss(Loss):
    """Compare images by the absolute difference of their Laplacian pyramids, per pixel.

        Lap1(x, y) = 1/HW sum_j 2^{2j} |L_j(x) - L_j(y)|_1 = sum_j mean |L_j(x) - L_j(y)|

    with L_j the bands, the finest first, and the low-pass residual last. Level j has 4^-j as many
    pixels, so the printed weight 2^{2j} makes an unweighted mean of each level: a blurred
    difference costs as much as a sharp one. That is the text of ICML 2018 and `"coarse"` here. The
    first arXiv version prints 2^{-2j}, under which level j counts 16^-j as much and the loss is
    nearly that of the finest band; it is `"fine"`. A constant difference c gives |c| under
    `"coarse"`, whatever the resolution. At odd sides the means are used, not the powers.

    Hidden pixels: each blur is a normalised convolution, and the mean of a level weighs its pixels
    by how much of them was seen.

    Args:
        levels: number of bands before the residual; None halves as long as the shorter side of
            the residual is at least 4.
        weighting: which printed weights, `"coarse"` (2^{2j}) or `"fine"` (2^{-2j}).

    Raises:
        UserError: if a setting is out of range, or if the examples are not images (B, C, H, W) or
            too small for `levels`.

    References:
        Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the latent space of generative
        networks" (ICML 2018), equation 3; arXiv 1707.05776v1 for the other sign.
        Ling and Okada, "Diffusion distance for histogram comparison" (CVPR 2006).

    Example:
        >>> Lap1Loss()(torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, 3, 32, 32))
        tensor([0.5000])
    """

    levels: int | None = None
    weighting: Weighting = "coarse"

    def __post_init__(self) -> None:
        if self.weighting not in get_args(Weighting):
            raise UserError(f"weighting must be 'coarse' or 'fine', not {self.weighting!r}.")
        levels = self.levels
        if levels is not None and (type(levels) is not int or levels < 0):
            raise UserError(f"levels must be None or a whole number from 0 up, not {levels!r}.")

    def __call__(
        self, prediction: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the pyramid loss of each row, (B,)."""
        # The pyramid is linear: that of the difference is the difference of the two.
        difference, weight = masked_difference(prediction, target, observed)
        levels = self._levels(difference.shape)
        if weight is not None:
            weight = weight.expand(*weight.shape[:2], *difference.shape[2:])
        decay = 1.0 if self.weighting == "coarse" else 1 / 16
        # Autocast would round the matrix products to half precision.
        with torch.autocast(difference.device.type, enabled=False):
            bands = laplacian_pyramid(difference, weight, levels)
            means = [decay**j * row_mean(band.abs(), seen) for j, (band, seen) in enumerate(bands)]
        return torch.stack(means).sum(0)

    def _levels(self, shape: torch.Size) -> int:
        if len(shape) != 4:
            raise UserError(
                f"Lap1 compares images (B, C, H, W), not examples of shape {tuple(shape[1:])}; "
                "use the loss 'mse' or 'l1'."
            )
        shorter = min(shape[2:])
        if self.levels is None:
            return max((shorter // SMALLEST_RESIDUAL).bit_length() - 1, 0)
        most = (shorter - 1).bit_length()
        if self.levels > most:
            raise UserError(
                f"Lap1 with {self.levels} levels does not fit images of {shape[2]}x{shape[3]}; "
                f"use at most {most}."
            )
        return self.levels

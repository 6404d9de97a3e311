"""Base class of the feature networks: maps from images to vectors that distances compare."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from glo.errors import UserError
from glo.utils.torch_defaults import with_torch_defaults

# Weights of red, green and blue in a grey value (ITU-R 601).
_LUMA = (0.299, 0.587, 0.114)


class Features(ABC):
    """Base class of a frozen network from images to vectors.

    Attributes:
        name: label of the features beside every distance, such as "digits".
        dim: length of a vector.
    """

    name: str
    dim: int

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Compute the features of images.

        Args:
            images: float (B, C, H, W) in [-1, 1], C 1 or 3, any height and width.

        Returns:
            float32 (B, dim) on the same device; row j depends on image j alone.
        """


@final
class Thumbnails(Features):
    """The grey pixels of side x side thumbnails, without a network, for the search for copies."""

    def __init__(self, *, side: int = 8) -> None:
        self.side = side
        self.name = f"thumbnails of {side} x {side}"
        self.dim = side * side

    def __call__(self, images: Tensor) -> Tensor:
        """Return the grey values in [-1, 1], float32 (B, side * side)."""
        return fit_images(images, 1, self.side).flatten(1)


@with_torch_defaults
@torch.no_grad()
def embed(features: Features, batches: Iterable[Tensor]) -> Tensor:
    """Compute the features of batches of images, float32 (n, dim) on the CPU."""
    vectors = [features(images).cpu() for images in batches]
    return torch.cat(vectors) if vectors else torch.zeros(0, features.dim)


def fit_images(images: Tensor, channels: int, side: int | None) -> Tensor:
    """Convert images (B, 1 or 3, H, W) to float32 (B, channels, side, side).

    Color becomes grey by ITU-R 601, grey is repeated, and sizes are changed bilinearly with
    antialiasing; a `side` of None keeps the size. Images that fit are returned as they are.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise UserError(
            f"Feature networks take images (B, C, H, W) with C 1 or 3, not examples of shape "
            f"{tuple(images.shape[1:])}; compare vectors without a network, by 'mse' or 'l1'."
        )
    pixels = images.float()
    if pixels.shape[1] == 1 and channels == 3:
        pixels = pixels.expand(-1, 3, -1, -1)
    elif pixels.shape[1] == 3 and channels == 1:
        pixels = (pixels * pixels.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    if side is None or pixels.shape[2:] == (side, side):
        return pixels
    return interpolate(pixels, (side, side), mode="bilinear", antialias=True, align_corners=False)


def check_features(*sets: Tensor, least: int = 2) -> None:
    """Check that sets of features, each (n, d), have one d, `least` rows and finite values."""
    shapes = " and ".join(str(tuple(rows.shape)) for rows in sets)
    if any(rows.ndim != 2 for rows in sets) or len({rows.shape[1] for rows in sets}) > 1:
        raise UserError(
            f"Features of shapes {shapes} cannot be compared; make both (n, d) with one "
            "feature network."
        )
    if any(len(rows) < least for rows in sets):
        raise UserError(
            f"Features of shapes {shapes} are too few; this measure needs at least {least} "
            "rows on each side."
        )
    if not all(bool(torch.isfinite(rows).all()) for rows in sets):
        raise UserError("Features hold NaN or infinity; check their images.")

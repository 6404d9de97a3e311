"""Which features a run's examples are compared in, and why."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.data import Dataset
from glo.errors import UserError
from glo.features.base import Features, Thumbnails
from glo.features.digits import DigitFeatures, digit_features
from glo.features.imagenet import efficientnet_features
from glo.features.loader import load_features

__all__ = ["Description", "Numbers", "describe"]


@final
class Numbers(Features):
    """The numbers of a vector themselves: a run has brought its columns to one scale already.

    Args:
        dim: F, how many there are.

    Example:
        >>> import torch
        >>> Numbers(2)(torch.tensor([[0.0, 1.0]]))
        tensor([[0., 1.]])
    """

    name = "columns"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, images: Tensor) -> Tensor:
        """Return vectors (B, F) as they are, float32."""
        return images.float()


@final
@dataclass(frozen=True, kw_only=True)
class Description:
    """Features for distances, features in which copies are looked for, and why these."""

    features: Features
    copies: Features
    """The same, unless they are too slow for every training example; then thumbnails."""
    why: str


def describe(samples: Dataset, name: str | None = None) -> Description:
    """Choose the features that examples are compared in.

    Args:
        samples: the training data as the run sees them, columns of vectors standardised.
        name: what the user asked for, as for `load_features`; None: the digit network for MNIST,
            the ImageNet network for colour where it is installed, else thumbnails.

    Raises:
        UserError: there are no such features, or these are vectors, which need none.

    Example:
        >>> import numpy as np
        >>> grey = Dataset(rows=np.zeros((4, 8, 8, 1), np.uint8), name="coins")
        >>> chosen = describe(grey)
        >>> chosen.features.name, chosen.why
        ('thumbnails of 8 x 8', 'for grey images other than MNIST there is no network')
    """
    if not samples.is_images:
        if name is not None:
            raise UserError(
                f"--features is {name}, but the examples are vectors; they are compared column by "
                f"column, so leave it out."
            )
        numbers = Numbers(*samples.shape)
        return Description(features=numbers, copies=numbers, why="vectors need no network")
    features, why = _default(samples) if name is None else (load_features(name), "as asked")
    cheap = isinstance(features, DigitFeatures | Thumbnails)
    return Description(features=features, copies=features if cheap else Thumbnails(), why=why)


def _default(samples: Dataset) -> tuple[Features, str]:
    if samples.shape[0] == 3:
        try:
            return efficientnet_features(), "the ImageNet network is the choice for colour"
        except UserError as error:
            return Thumbnails(), f"for colour a network would be better, but: {error}"
    if samples.name.lower().startswith("mnist"):
        return digit_features(), "the digit network is the choice for MNIST"
    return Thumbnails(), "for grey images other than MNIST there is no network"

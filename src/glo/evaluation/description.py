"""Which features a run's examples are compared in, and why."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from glo.data import Samples
from glo.errors import UserError
from glo.metrics import (
    DigitFeatures,
    Features,
    Thumbnails,
    digit_features,
    efficientnet_features,
    load_features,
)

__all__ = ["Columns", "Description", "describe"]


@final
class Columns(Features):
    """The numbers of a vector themselves, each column at mean 0 and deviation 1.

    Args:
        rows: (n, F), training examples that mean and deviation are taken from.

    Example:
        >>> import torch
        >>> columns = Columns(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
        >>> columns(torch.tensor([[1.0, 6.0]]))
        tensor([[0., 1.]])
    """

    name = "columns"

    def __init__(self, rows: Tensor) -> None:
        self.dim = rows.shape[1]
        self._mean = rows.mean(0)
        deviation = rows.std(0, correction=0)
        # A column that never changes is compared as it is.
        self._scale = deviation.where(deviation > 0, deviation.new_ones(()))

    def __call__(self, images: Tensor) -> Tensor:
        """Return standardised vectors, float32 (B, F), of vectors (B, F)."""
        return (images.float() - self._mean) / self._scale


@final
@dataclass(frozen=True, kw_only=True)
class Description:
    """Features for distances, features in which copies are looked for, and why these."""

    features: Features
    copies: Features
    """The same, unless they are too slow for every training example; then thumbnails."""
    why: str


def describe(samples: Samples, rows: Tensor, name: str | None = None) -> Description:
    """Choose the features that examples are compared in.

    Args:
        samples: the training data.
        rows: int64 (n,), those of them that columns are standardised by.
        name: what the user asked for, as for `load_features`; None: the digit network for MNIST,
            the ImageNet network for colour where it is installed, else thumbnails.

    Raises:
        UserError: there are no such features, or these are vectors, which need none.

    Example:
        >>> import numpy as np, torch
        >>> grey = Samples(rows=np.zeros((4, 8, 8, 1), np.uint8), name="coins")
        >>> chosen = describe(grey, torch.arange(4))
        >>> chosen.features.name, chosen.why
        ('thumbnails of 8 x 8', 'for grey images other than MNIST there is no network')
    """
    if not samples.is_images:
        if name is not None:
            raise UserError(
                f"--features is {name}, but the examples are vectors; they are compared column by "
                f"column, so leave it out."
            )
        columns = Columns(samples.batch(rows))
        return Description(features=columns, copies=columns, why="vectors need no network")
    features, why = _default(samples) if name is None else (load_features(name), "as asked")
    cheap = isinstance(features, DigitFeatures | Thumbnails)
    return Description(features=features, copies=features if cheap else Thumbnails(), why=why)


def _default(samples: Samples) -> tuple[Features, str]:
    if samples.shape[0] == 3:
        try:
            return efficientnet_features(), "the ImageNet network is the choice for colour"
        except UserError as error:
            return Thumbnails(), f"for colour a network would be better, but: {error}"
    if samples.name.lower().startswith("mnist"):
        return digit_features(), "the digit network is the choice for MNIST"
    return Thumbnails(), "for grey images other than MNIST there is no network"

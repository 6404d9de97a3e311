"""Features of an ImageNet network that comes from package indexes, for colour pictures."""

import copy
from functools import cache
from typing import Any, final

from torch import Tensor, nn

from glo.errors import UserError
from glo.features.backbones import efficientnet, for_efficientnet
from glo.features.base import Features, fit_images

__all__ = ["EfficientNetFeatures", "efficientnet_features"]


@final
class EfficientNetFeatures(Features):
    """The 1,280 averaged last feature maps of EfficientNet-Lite0, trained on ImageNet.

    It takes pixels in [-1, 1]; grey is repeated, and any other size is resized. The network was
    trained at 224; a smaller side costs less and sees less, and each side is a measure of its own,
    so the side belongs to the name. One core of a busy machine describes about 20 images a second
    at 224 and 55 at 128.

    Args:
        network: of `glo.features.backbones.efficientnet`.
        side: height and width that images are resized to, a multiple of 32.

    Reference:
        Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks"
        (ICML 2019); the Lite variant has no squeeze and excitation, and ReLU6 for swish.
    """

    dim = 1280

    def __init__(self, network: nn.Module, *, side: int) -> None:
        self.side = side
        self.name = f"efficientnet-lite0 at {side}"
        self._network: Any = network

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, float32 (B, 1280)."""
        pixels = for_efficientnet(fit_images(images, 3, self.side))
        maps: Tensor = self._network.to(images.device).extract_features(pixels)
        return maps.mean((2, 3))


@cache
def efficientnet_features(side: int = 128) -> EfficientNetFeatures:
    """Return the features of EfficientNet-Lite0 from the packages that the extra installs.

    Args:
        side: height and width that images are resized to, a multiple of 32.

    Raises:
        UserError: the packages are not installed, or the side is not a multiple of 32.
    """
    if side < 32 or side % 32:
        raise UserError(f"side is {side}; EfficientNet takes multiples of 32, 224 at its best.")
    return EfficientNetFeatures(copy.deepcopy(efficientnet()), side=side)

"""Networks whose features a loss compares, by name or by file."""

import copy
import math
from pathlib import Path
from typing import Any, final

from torch import Tensor, nn
from torch.nn.functional import normalize

from glo.errors import UserError, suggest
from glo.features.backbones import efficientnet, for_efficientnet, load_torchscript_network

__all__ = ["EfficientNetLayers", "feature_network"]

# Blocks that end a stage: 16, 24 and 40 maps of a half, a quarter and an eighth of the side. What
# comes after costs more and says less of where something is.
_ENDS = (0, 2, 4)
_NAMES = ("efficientnet",)


@final
class EfficientNetLayers(nn.Module):
    """Map images (B, 1 or 3, H, W) in [-1, 1] to early maps of EfficientNet-Lite0.

    Four layers: the stem, and the ends of the first three stages. At each position the vector of
    channels is scaled to the length sqrt(channels), so the mean squared difference of two such
    maps is the squared distance of unit vectors, from 0 to 4, alike in each layer.

    Raises:
        UserError: the packages are not installed.

    Reference:
        Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep features
        as a perceptual metric" (CVPR 2018), equation 1, here with weights of one.
    """

    def __init__(self) -> None:
        super().__init__()
        network: Any = copy.deepcopy(efficientnet())
        self.stem, self.activation = network._conv_stem, network._swish
        self.blocks = network._blocks[: max(_ENDS) + 1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers, the largest maps first."""
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise UserError(
                f"The loss 'features' compares images, not examples of shape "
                f"{tuple(images.shape[1:])}; use the loss 'mse' or 'l1'."
            )
        pixels = in_colour(images).to(self.stem.weight.dtype)
        maps = self.activation(self.stem(for_efficientnet(pixels)))
        layers = [_scaled(maps)]
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in _ENDS:
                layers.append(_scaled(maps))
        return layers


@final
class _Script(nn.Module):
    """A network of the user's, which takes images in colour."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        return self.network(in_colour(images))


def feature_network(name_or_path: str) -> nn.Module:
    """Return the network whose features a loss compares.

    Args:
        name_or_path: "efficientnet", or the path of a TorchScript file that takes images
            (B, 3, H, W) in [-1, 1] and gives a tensor (B, ...) or a tuple of several layers'.

    Raises:
        UserError: there is neither such a name nor such a file, or it cannot be used.

    Example:
        >>> feature_network("efficientnut")
        Traceback (most recent call last):
        glo.errors.UserError: There are no features 'efficientnut' for a loss, and no such file; \
choose efficientnet or the path of a TorchScript file. Did you mean 'efficientnet'?
    """
    if name_or_path in _NAMES:
        return EfficientNetLayers()
    path = Path(name_or_path)
    if not path.is_file():
        raise UserError(
            f"There are no features '{name_or_path}' for a loss, and no such file; choose "
            f"{', '.join(_NAMES)} or the path of a TorchScript file.{suggest(name_or_path, _NAMES)}"
        )
    # Weights that want a gradient would be copied as if they were computed.
    return _Script(load_torchscript_network(path)).requires_grad_(False)


def in_colour(images: Tensor) -> Tensor:
    """Return images with three channels; grey is repeated.

    Example:
        >>> import torch
        >>> in_colour(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """
    grey = images.ndim == 4 and images.shape[1] == 1
    return images.expand(-1, 3, -1, -1) if grey else images


def _scaled(maps: Tensor) -> Tensor:
    return math.sqrt(maps.shape[1]) * normalize(maps, dim=1, eps=1e-6)

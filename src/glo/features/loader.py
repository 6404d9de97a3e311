"""Loader of feature networks, by name or by file, for metrics and losses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from torch import nn

from glo.errors import UserError, suggest
from glo.features.base import Features, Thumbnails
from glo.features.digits import digit_features, read_digit_features
from glo.features.efficientnet import EfficientNetLayers, efficientnet_features
from glo.features.torchscript import TorchScriptLayers, load_torchscript, read_torchscript
from glo.utils.torch_defaults import with_torch_defaults

FEATURES: dict[str, Callable[[], Features]] = {
    "digits": digit_features,
    "efficientnet": efficientnet_features,
    "thumbnails": Thumbnails,
}
LAYERS: dict[str, Callable[[], nn.Module]] = {"efficientnet": EfficientNetLayers}

_T = TypeVar("_T")


@with_torch_defaults
def load_features(name_or_path: str | Path) -> Features:
    """Load a feature network for metrics: one vector per image.

    - "digits": the network of the package, for handwritten digits, 128 features.
    - "efficientnet": EfficientNet-Lite0, trained on ImageNet, 1,280 features; an extra.
    - "thumbnails": the pixels of 8 x 8 grey pictures, no network.
    - a `.safetensors` file written by `benchmarks/digit_network.py`.
    - any other file: TorchScript that takes float32 (B, 3, H, W) in [-1, 1] in the size of the
      images and gives (B, d). `load_torchscript` has options for another range and size.

    Raises:
        UserError: there is neither such a name nor such a file, or the file is no network.

    Example:
        >>> load_features("digits").dim
        128
    """
    return _load(name_or_path, FEATURES, _read_features)


@with_torch_defaults
def load_feature_layers(name_or_path: str | Path) -> nn.Module:
    """Load a feature network for a loss: a differentiable module that returns one or more layers.

    - "efficientnet": early maps of EfficientNet-Lite0, trained on ImageNet; an extra.
    - any file: TorchScript that takes float32 (B, 3, H, W) in [-1, 1] and gives a tensor (B, ...)
      or a tuple of several.

    Raises:
        UserError: there is neither such a name nor such a file, or the file is no network.

    Example:
        >>> load_feature_layers("efficientnut")
        Traceback (most recent call last):
        glo.errors.UserError: There are no features 'efficientnut', and no such file; choose \
efficientnet or the path of a TorchScript file. Did you mean 'efficientnet'?
    """
    return _load(name_or_path, LAYERS, lambda path: TorchScriptLayers(read_torchscript(path)))


def _load(
    name_or_path: str | Path, known: Mapping[str, Callable[[], _T]], read: Callable[[Path], _T]
) -> _T:
    name, path = str(name_or_path), Path(name_or_path)
    if name in known:
        return known[name]()
    if not path.is_file():
        raise UserError(
            f"There are no features {name!r}, and no such file; choose {', '.join(known)} or the "
            f"path of a TorchScript file.{suggest(name, known)}"
        )
    return read(path)


def _read_features(path: Path) -> Features:
    return read_digit_features(path) if path.suffix == ".safetensors" else load_torchscript(path)

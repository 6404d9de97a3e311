"""Feature networks by name or by file."""

from collections.abc import Callable
from pathlib import Path

from glo.errors import UserError, suggest
from glo.features.base import Features, Thumbnails
from glo.features.digits import digit_features, read_features
from glo.features.imagenet import efficientnet_features
from glo.features.torchscript import load_torchscript

__all__ = ["FEATURES", "load_features"]

FEATURES: dict[str, Callable[[], Features]] = {
    "digits": digit_features,
    "efficientnet": efficientnet_features,
    "thumbnails": Thumbnails,
}


def load_features(name_or_path: str | Path) -> Features:
    """Return a feature network.

    - "digits": the network of the package, for handwritten digits, 128 features.
    - "efficientnet": EfficientNet-Lite0, trained on ImageNet, 1,280 features; an extra.
    - "thumbnails": the pixels of 8 x 8 grey pictures, no network.
    - a `.safetensors` file that `benchmarks/digit_network.py` wrote.
    - any other file: TorchScript that takes float32 (B, 3, H, W) in [-1, 1] in the size of the
      images and gives (B, d). `load_torchscript` can be told of another range and size.

    Raises:
        UserError: there is neither such a name nor such a file, or the file is no network.

    Example:
        >>> load_features("digits").dim
        128
    """
    name = str(name_or_path)
    if name in FEATURES:
        return FEATURES[name]()
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(FEATURES)
        raise UserError(
            f"There are no features {name!r}, and no such file; choose {known} or the path of a "
            f"TorchScript or safetensors file.{suggest(name, FEATURES)}"
        )
    return read_features(path) if path.suffix == ".safetensors" else load_torchscript(path)

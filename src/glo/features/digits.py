"""Digit network of the package and its penultimate features."""

from functools import cache
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.features.base import Features, fit_images
from glo.utils.safetensors_io import check_finite, read_header, read_tensors

DIGITS_FILE = Path(__file__).parent / "networks" / "digits.safetensors"

_SIDE = 32
_DIM = 128


@final
class DigitNetwork(nn.Module):
    """Map grey images (B, 1, 32, 32) to 128 features, and those to the scores of ten classes.

    A 5 x 5 convolution of stride 2 to 32 channels and ReLU; twice a 3 x 3 convolution (64, 128
    channels), maximum over 2 x 2 and ReLU; a linear map to 128 numbers and ReLU, the features; and
    one to 10, the scores. Batch norm, used in training, is folded into the convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.linear = nn.Linear(128 * (_SIDE // 8) ** 2, _DIM)
        self.scores = nn.Linear(_DIM, 10)

    def features(self, images: Tensor) -> Tensor:
        """Return the features, (B, 128), of images (B, 1, 32, 32) in [-1, 1]."""
        x = self.conv1(images).relu_()
        for conv in (self.conv2, self.conv3):
            x = nn.functional.max_pool2d(conv(x), 2).relu_()
        return nn.functional.relu(self.linear(x.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores, (B, 10), of images (B, 1, 32, 32) in [-1, 1]."""
        scores: Tensor = self.scores(self.features(images))
        return scores


@final
class DigitFeatures(Features):
    """The 128 penultimate features of a digit network.

    Takes pixels in [-1, 1]; color becomes grey, and any size but 32 x 32 is resized. The network of
    the package was trained on handwritten digits. On other pictures its distances still rank
    models, but may miss what matters in them; train one on their labels instead. `about` holds the
    texts of its file: training data, accuracy, command.

    Example:
        >>> float(digit_features().about["test_accuracy"]) > 0.99
        True
    """

    dim = _DIM

    def __init__(self, network: DigitNetwork, *, name: str, about: dict[str, str]) -> None:
        self.name = name
        self.about = about
        frozen = network.eval().requires_grad_(False)
        # Channels-last is twice as fast.
        self._network = frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, float32 (B, 128)."""
        features: Tensor = self._network.to(images.device).features(fit_images(images, 1, _SIDE))
        return features

    def classify(self, images: Tensor) -> Tensor:
        """Return the most likely class of each image, int64 (B,)."""
        scores: Tensor = self._network.to(images.device)(fit_images(images, 1, _SIDE))
        return scores.argmax(1)


@cache
def digit_features() -> DigitFeatures:
    """Load the features of the package's digit network."""
    return read_digit_features(DIGITS_FILE)


def read_digit_features(path: Path) -> DigitFeatures:
    """Read a network written by `benchmarks/digit_network.py`; the name is that of the file."""
    network = DigitNetwork()
    # Stored in half precision, computed in single.
    halves = {name: tensor.half() for name, tensor in network.state_dict().items()}
    try:
        weights = read_tensors(path, halves)
        check_finite(path, weights)
    except UserError as error:
        raise UserError(
            f"{path} is not a digit network ({str(error).rstrip('.')}); "
            "benchmarks/digit_network.py writes one. Other networks are read as TorchScript."
        ) from None
    network.load_state_dict(weights)
    return DigitFeatures(network, name=path.stem, about=read_header(path).about)

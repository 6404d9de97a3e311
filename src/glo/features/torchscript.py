"""Features of any network that the user brings as a TorchScript file."""

from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.features.backbones import last_line, load_torchscript_network
from glo.features.base import Features, fit_images

__all__ = ["TorchScriptFeatures", "load_torchscript"]


@final
class TorchScriptFeatures(Features):
    """The output of a network, whatever it is: (B, d), or (B, d, 1, 1).

    Args:
        network: maps images (B, channels, side, side) to features.
        name: how it is called beside every distance.
        channels: 1 or 3; other images become grey, or are repeated.
        side: height and width that images are resized to; None leaves them as they are.
        low: the value that the network takes for black.
        high: the value that it takes for white.

    Raises:
        UserError: the network does not take such images, or does not give one vector for each.

    Example:
        >>> TorchScriptFeatures(
        ...     nn.Sequential(nn.AvgPool2d(8), nn.Flatten()), name="mine", side=8
        ... ).dim
        3
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        channels: int = 3,
        side: int | None = None,
        low: float = -1.0,
        high: float = 1.0,
    ) -> None:
        self.name = name
        self.channels, self.side = channels, side
        self._low, self._scale = low, (high - low) / 2
        self._network = network.eval()
        self.dim = self._probe().shape[1]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, float32 (B, dim)."""
        pixels = (fit_images(images, self.channels, self.side) + 1.0) * self._scale + self._low
        output: Tensor = self._network.to(images.device)(pixels)
        return output.flatten(1).float()

    def _probe(self) -> Tensor:
        size = self.side or 64
        given = f"images (2, {self.channels}, {size}, {size})"
        pixels = torch.full((2, self.channels, size, size), self._low)
        try:
            with torch.no_grad():
                output = self._network(pixels)
        except RuntimeError as error:
            raise UserError(
                f"The network {self.name} failed on {given}: {last_line(error)}. Wrap it in one "
                "that takes such images, or say what it takes: channels, side, low, high."
            ) from None
        if not _is_vectors(output):
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UserError(
                f"The network {self.name} turned {given} into {shape}; a feature network gives "
                "one vector for each image, (B, d). Average its maps, or choose one output."
            )
        vectors: Tensor = output.flatten(1)
        return vectors


def load_torchscript(
    path: Path,
    *,
    channels: int = 3,
    side: int | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> TorchScriptFeatures:
    """Read a TorchScript file; its name is that of the file.

    Args:
        path: what `torch.jit.save` wrote.
        channels: 1 or 3, what the network takes.
        side: height and width that it takes; None for any.
        low: the value that it takes for black.
        high: the value that it takes for white.

    Raises:
        UserError: the file is not TorchScript, or the network does not fit.
    """
    network = load_torchscript_network(path)
    return TorchScriptFeatures(
        network, name=path.stem, channels=channels, side=side, low=low, high=high
    )


def _is_vectors(output: object) -> bool:
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != 2:
        return False
    return all(length == 1 for length in output.shape[2:])

"""Feature networks in TorchScript files: programs in a language of their own, without pickle."""

import warnings
import zipfile
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.features.base import Features, fit_images


@final
class TorchScriptFeatures(Features):
    """The output of any network that returns one vector per image, (B, d) or (B, d, 1, 1).

    Args:
        network: module from images (B, channels, side, side) to features.
        name: label of the features beside every distance.
        channels: 1 or 3; other images become grey, or are repeated.
        side: height and width that images are resized to; None keeps their size.
        low: input value of black.
        high: input value of white.

    Raises:
        UserError: the network does not take such images, or does not give one vector for each.
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
        pixels = torch.full((2, self.channels, size, size), self._low)
        images = f"images {tuple(pixels.shape)}"
        try:
            with torch.no_grad():
                output = self._network(pixels)
        except RuntimeError as error:
            raise UserError(
                f"The network {self.name} failed on {images}: {_last_line(error)}. Wrap it in one "
                "that takes such images, or set channels, side, low, high."
            ) from None
        is_tensor = isinstance(output, Tensor)
        if not is_tensor or output.ndim < 2 or len(output) != 2 or output.shape[2:].numel() != 1:
            shape = tuple(output.shape) if is_tensor else type(output).__name__
            raise UserError(
                f"The network {self.name} turned {images} into {shape}; a feature network gives "
                "one vector for each image, (B, d). Average its maps, or choose one output."
            )
        vectors: Tensor = output.flatten(1)
        return vectors


@final
class TorchScriptLayers(nn.Module):
    """Map images (B, 1 or 3, H, W) in [-1, 1] to the layers of a network for a loss."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        # Weights that require a gradient could not be copied: they would count as computed.
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Any:
        """Return the output of the network; grey is repeated."""
        return self.network(fit_images(images, 3, None))


def load_torchscript(path: Path, **options: Any) -> TorchScriptFeatures:
    """Load `TorchScriptFeatures`, with its options, named after the TorchScript file."""
    return TorchScriptFeatures(read_torchscript(path), name=path.stem, **options)


def read_torchscript(path: Path) -> nn.Module:
    """Read a TorchScript file, written by `torch.jit.save`.

    Files of `torch.save` and `torch.export` are refused: reading one can run any code that its
    author put there.
    """
    if not _is_torchscript(path):
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
        raise UserError(f"{path} is damaged ({_last_line(error)}); make it again.") from None
    return network.eval()


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    inside = {name.partition("/")[2] for name in names}
    return "constants.pkl" in inside and any(name.startswith("code/") for name in inside)


def _last_line(error: RuntimeError) -> str:
    # TorchScript prints its traceback before the message.
    return str(error).strip().splitlines()[-1].rstrip(".")

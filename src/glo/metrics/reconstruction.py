"""Reconstruction errors of images: PSNR and SSIM."""

import torch
from torch import Tensor

from glo.errors import UserError
from glo.utils.torch_defaults import torch_defaults

__all__ = ["MIN_SIDE", "psnr", "psnr_from_mse", "ssim"]

# The padding of SSIM's window needs this many pixels.
MIN_SIDE = 6


def psnr_from_mse(error: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of mean squared errors of pixels in [-1, 1], in dB.

        10 log10(range^2 / mse), range 2

    Args:
        error: mean squared errors, any shape.

    Example:
        >>> psnr_from_mse(torch.tensor([0.04]))
        tensor([20.])
    """
    return 10 * torch.log10(4 / error)


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each image in dB.

    Args:
        prediction: (B, C, H, W) in [-1, 1]; values outside are clipped, as in a file.
        target: (B, C, H, W) in [-1, 1].

    Returns:
        float32 (B,); infinite where both are the same.

    Raises:
        UserError: the shapes differ, or these are not images.

    Example:
        >>> psnr(torch.full((1, 1, 8, 8), 0.2), torch.zeros(1, 1, 8, 8))
        tensor([20.])
    """
    _check(prediction, target)
    errors = (prediction.float().clamp(-1, 1) - target.float().clamp(-1, 1)).square()
    return psnr_from_mse(errors.flatten(1).mean(1))


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity of each image, 1 where both are the same.

    Gaussian window of deviation 1.5 over 11 x 11 pixels, on pixels scaled to [0, 1].

    Args:
        prediction: (B, C, H, W) in [-1, 1]; values outside are clipped, as in a file.
        target: (B, C, H, W) in [-1, 1].

    Returns:
        float32 (B,).

    Raises:
        UserError: the shapes differ, these are not images, or a side is below 6 pixels.

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
        structural similarity" (IEEE Transactions on Image Processing 2004), equation 13.

    Example:
        >>> images = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
        >>> ssim(images, images)
        tensor([1.])
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _check(prediction, target)
    if min(prediction.shape[2:]) < MIN_SIDE:
        raise UserError(
            f"images are {tuple(prediction.shape[2:])}; SSIM has a window of 11 x 11 and needs at "
            f"least {MIN_SIDE} pixels on each side. Use the MSE."
        )
    x, y = (images.float().clamp(-1, 1).add(1).div(2) for images in (prediction, target))
    # Under autocast the library would filter in half precision.
    with torch_defaults(gradients=torch.is_grad_enabled()):
        similarity = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    assert isinstance(similarity, Tensor)
    # For one image the library drops the axis.
    return similarity.reshape(len(prediction))


def _check(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape or prediction.ndim != 4:
        shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise UserError(
            f"prediction and target are {shapes}; this measure is for images, both the same "
            "(B, C, H, W). Use the MSE for vectors."
        )

"""How near a reconstruction is to its example: MSE, PSNR and SSIM, one number per example."""

from torch import Tensor

from glo.errors import UserError

__all__ = ["mse", "psnr", "ssim"]

# Side of the window of SSIM beyond which its padding reflects pixels that are not there.
_LEAST_SIDE = 6


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of each example.

        mean over the numbers of an example of (x - y)^2

    Args:
        prediction: (B, *shape), images in [-1, 1] or vectors.
        target: (B, *shape).

    Returns:
        float32 (B,).

    Raises:
        UserError: the shapes differ.

    Example:
        >>> import torch
        >>> mse(torch.ones(2, 1, 8, 8), torch.zeros(2, 1, 8, 8))
        tensor([1., 1.])
    """
    _check(prediction, target)
    return (prediction.float() - target.float()).square().flatten(1).mean(1)


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each image in decibels.

        10 log10(range^2 / mse), range 2 for pixels in [-1, 1]

    Args:
        prediction: (B, C, H, W) in [-1, 1]; what lies outside is clipped, as in a file.
        target: (B, C, H, W) in [-1, 1].

    Returns:
        float32 (B,); infinite where both are the same.

    Raises:
        UserError: the shapes differ, or these are not images.

    Example:
        >>> import torch
        >>> psnr(torch.full((1, 1, 8, 8), 0.2), torch.zeros(1, 1, 8, 8))
        tensor([20.0000])
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _check_images(prediction, target)
    return peak_signal_noise_ratio(
        _unit(prediction), _unit(target), data_range=1.0, reduction="none", dim=(1, 2, 3)
    )


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity of each image, 1 where both are the same.

    Gaussian window of deviation 1.5 over 11 x 11 pixels, on pixels brought to [0, 1].

    Args:
        prediction: (B, C, H, W) in [-1, 1]; what lies outside is clipped, as in a file.
        target: (B, C, H, W) in [-1, 1].

    Returns:
        float32 (B,).

    Raises:
        UserError: the shapes differ, these are not images, or a side is below 6 pixels.

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
        structural similarity" (IEEE Transactions on Image Processing 2004), equation 13.

    Example:
        >>> import torch
        >>> images = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
        >>> ssim(images, images)
        tensor([1.])
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _check_images(prediction, target)
    if min(prediction.shape[2:]) < _LEAST_SIDE:
        raise UserError(
            f"images are {tuple(prediction.shape[2:])}; SSIM looks through a window of 11 x 11 "
            f"and needs at least {_LEAST_SIDE} pixels on each side. Use the MSE."
        )
    found = structural_similarity_index_measure(
        _unit(prediction), _unit(target), data_range=1.0, reduction="none"
    )
    assert isinstance(found, Tensor)
    # One image comes back without its axis.
    return found.reshape(len(prediction))


def _unit(images: Tensor) -> Tensor:
    return images.float().clamp(-1.0, 1.0).add(1.0).div(2.0)


def _check(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape or prediction.ndim < 2:
        shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise UserError(f"prediction and target are {shapes}; both must be the same (B, ...).")


def _check_images(prediction: Tensor, target: Tensor) -> None:
    _check(prediction, target)
    if prediction.ndim != 4:
        raise UserError(
            f"prediction is {tuple(prediction.shape)}; this measure is for images, (B, C, H, W). "
            "Use the MSE for vectors."
        )

"""Restoration of degraded images: masks, degradations, and a search for codes that explain them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glo.data import Dataset
from glo.data.pixels import convert_channels
from glo.data.readers.images import decode as decode_image
from glo.data.readers.images import decode_opaque
from glo.decoders.decode import decode
from glo.errors import UserError, suggest
from glo.inversion import InitialCodes, Inversion, Operator, add_noise, half_mask, hole_mask
from glo.inversion.corruptions import Half
from glo.metrics.reconstruction import psnr_from_mse
from glo.runs.run import Run
from glo.workflows.encode import EncodedBatch, ProgressCallback, encode_batches
from glo.workflows.inputs import Inputs

__all__ = [
    "Degradation",
    "Restoration",
    "mask_from_alpha",
    "mask_from_file",
    "mask_from_name",
    "restore",
    "searched_solutions",
]

# Default noise, as a share of the spread of the examples: more than `encode` assumes, as missing
# regions leave more open than scattered values. Measured on 64 digits without the left half, 8
# solutions: 17.3 dB, and 17.1 dB with twice the error of the run's reconstructions.
_NOISE = 0.5
# Solutions that are searched for each one that is kept where they are to differ, and the residual
# up to which one is kept, as a multiple of the lowest.
_CANDIDATES, _MAX_RESIDUAL = 8, 2.0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Degradation:
    """Degradation of images (C, H, W): y = A(x) + noise, parts of it hidden.

    Attributes:
        operator: A; None: identity.
        mask: 1 where y is observed and 0 where it is hidden, float32 (1, 1, H, W) or one mask for
            each image; None: all is observed.
        noise: standard deviation of the noise, where black is -1 and white is 1; None: no noise.
    """

    operator: Operator | None = None
    mask: Tensor | None = None
    noise: float | None = None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of observations of images of `shape`."""
        return tuple(self.apply(torch.zeros(1, *shape), torch.zeros(1)).shape[1:])

    def apply(self, images: Tensor, rows: Tensor, *, seed: int = 0) -> Tensor:
        """Apply operator and noise, which consecutive `rows` determine, to clean images."""
        output = images if self.operator is None else self.operator(images)
        if self.noise is None:
            return output
        return add_noise(output, self.noise, seed=seed, start=int(rows[0]))

    def masks(self, rows: Tensor) -> Tensor | None:
        """Return the masks of some rows, or the mask of all images."""
        return self.mask if self.mask is None or len(self.mask) == 1 else self.mask[rows]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Restoration:
    """Restored images (b, C, H, W), K solutions each.

    Attributes:
        rows: int64 (b,), row numbers of the observations.
        observations: observations in the size of the images, gray where hidden.
        images: mean of all solutions, and the observed pixels where there are any.
        truth: clean images of a simulation; None otherwise.
        solutions: (b, K, C, H, W), decoded solutions by increasing residual.
        spread: (b,), root mean square deviation of the solutions.
        inversion: codes, residuals and steps.
        psnr: (b,), PSNR of `images` in decibels, over the hidden pixels, or over the whole image
            without a mask; None without truth.
        observed_psnr: (b,), PSNR of `observations` in decibels; None without truth or with a mask.
    """

    rows: Tensor
    observations: Tensor
    images: Tensor
    truth: Tensor | None
    solutions: Tensor
    spread: Tensor
    inversion: Inversion
    psnr: Tensor | None
    observed_psnr: Tensor | None


def restore(
    run: Run,
    dataset: Dataset,
    degradation: Degradation,
    initial_codes: InitialCodes,
    *,
    rows: Tensor | None = None,
    n_solutions: int = 8,
    diverse: bool = False,
    simulate: bool = False,
    callback: ProgressCallback | None = None,
) -> Iterator[Restoration]:
    """Yield restored images in batches: decoded codes whose images, degraded, are the dataset.

    With `simulate` its images are clean; they are degraded first, and compared with. `rows` are
    consecutive row numbers; None: all of them. With `diverse` eight times as many solutions are
    searched, and those farthest apart are kept.
    """
    spread = initial_codes.examples_spread
    noise = _NOISE * spread if degradation.noise is None else degradation.noise

    def load(rows: Tensor) -> tuple[Tensor, Tensor | None]:
        x = dataset.batch(rows)
        return degradation.apply(x, rows) if simulate else x, degradation.masks(rows)

    for batch in encode_batches(
        run,
        torch.arange(len(dataset)) if rows is None else rows,
        load,
        initial_codes,
        operator=degradation.operator,
        noise=noise,
        n_solutions=searched_solutions(n_solutions, diverse=diverse),
        name="restoring",
        callback=callback,
    ):
        truth = dataset.batch(batch.rows) if simulate else None
        yield _restoration(run, batch, truth, n_solutions)


def searched_solutions(n_solutions: int, *, diverse: bool) -> int:
    """Return the number of solutions that are searched for each image."""
    return _CANDIDATES * n_solutions if diverse else n_solutions


def _restoration(
    run: Run, batch: EncodedBatch, truth: Tensor | None, n_solutions: int
) -> Restoration:
    x, mask, inversion = batch.target, batch.mask, batch.inversion
    region = torch.ones_like(inversion.mean) if mask is None else 1 - mask
    region = region.expand_as(inversion.mean)
    codes = inversion.solutions
    decoded = decode(run.decoder, codes.flatten(0, 1), run.settings.precision)
    decoded = decoded.unflatten(0, codes.shape[:2])
    if n_solutions < codes.shape[1]:
        inversion, decoded = _farthest_apart(inversion, decoded, region, n_solutions)
    images = inversion.mean
    observations = functional.interpolate(x, size=images.shape[2:], mode="nearest")
    if mask is not None:
        images = torch.where(region > 0, images, x)
        observations = torch.where(region > 0, torch.zeros_like(observations), observations)
    return Restoration(
        rows=batch.rows,
        observations=observations.clamp(-1, 1),
        images=images,
        truth=truth,
        solutions=decoded,
        spread=_mean(inversion.std.square(), region).sqrt(),
        inversion=inversion,
        psnr=_psnr(images, truth, region),
        observed_psnr=_psnr(observations, None if mask is not None else truth, region),
    )


def _farthest_apart(
    inversion: Inversion, decoded: Tensor, region: Tensor, k: int
) -> tuple[Inversion, Tensor]:
    """Keep the best solution and those farthest from all kept ones in a region, k for each image.

    Solutions with more than `_MAX_RESIDUAL` times the residual of the best one do not take part, as
    long as there are k others.

    Reference:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
        Science 38, 1985.
    """
    residuals = inversion.solution_residuals
    fits = residuals <= _MAX_RESIDUAL * residuals[:, :1]
    fits[:, :k] = True
    points = (decoded * region.unsqueeze(1)).flatten(2)
    chosen = torch.zeros(len(points), 1, dtype=torch.int64)
    distance = torch.full(residuals.shape, torch.inf)
    every = torch.arange(len(points))
    for _ in range(k - 1):
        last = points[every, chosen[:, -1]].unsqueeze(1)
        distance = torch.minimum(distance, (points - last).square().sum(2))
        farthest = distance.masked_fill(~fits, -1).scatter(1, chosen, -1).argmax(1, keepdim=True)
        chosen = torch.cat([chosen, farthest], dim=1)
    # By residual, as all solutions are.
    chosen = chosen.sort(dim=1).values
    kept = decoded[every.unsqueeze(1), chosen]
    solutions = inversion.solutions[every.unsqueeze(1), chosen]
    return replace(
        inversion,
        solutions=solutions,
        solution_residuals=residuals.gather(1, chosen),
        mean=kept.mean(1),
        std=kept.std(1, correction=0),
    ), kept


def _psnr(images: Tensor, truth: Tensor | None, region: Tensor) -> Tensor | None:
    if truth is None:
        return None
    return psnr_from_mse(_mean((images.clamp(-1, 1) - truth).square(), region))


def _mean(values: Tensor, region: Tensor) -> Tensor:
    return (values * region).flatten(1).sum(1) / region.flatten(1).sum(1)


def mask_from_name(name: str, shape: tuple[int, ...]) -> Tensor:
    """Build the mask (1, 1, H, W) of left, right, top, bottom or center:SIDE, 0 where hidden."""
    halves: tuple[Half, ...] = get_args(Half)
    for half in halves:
        if name == half:
            return half_mask(shape, half)
    kind, _, side = name.partition(":")
    if kind == "center" and side.isascii() and side.isdigit():
        return hole_mask(shape, int(side))
    raise UserError(
        f"--hole is {name!r}; give left, right, top, bottom, or center and a side in pixels, such "
        f"as center:{min(shape[1:]) // 2}.{suggest(name, [*halves, 'center:SIDE'])}"
    )


def mask_from_file(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Read a mask image as float32 (1, 1, H, W), 0 where hidden.

    Transparent pixels are hidden, or if none is transparent those darker than half of the
    brightest: the white of a mask may be 255, 1 or any other value.
    """
    if not path.is_file():
        raise UserError(f"There is no mask {path}; give a black and white image.")
    try:
        opaque = decode_opaque(path)
        if opaque is None or bool(opaque.all()):
            pixels = convert_channels(decode_image(path)[None], 1)[0, ..., 0]
            opaque = pixels > pixels.max() / 2
    except UserError as error:
        raise UserError(f"The mask {path} cannot be read: {error}.") from None
    return _mask(opaque, shape, f"The mask {path}")[None]


def mask_from_alpha(inputs: Inputs) -> Tensor:
    """Read masks (n, 1, H, W), 0 where transparent, from the alpha channels of image files."""
    masks = []
    for name, path in zip(inputs.names, inputs.files, strict=False):
        opaque = decode_opaque(path)
        if opaque is None:
            raise UserError(
                f"{name} has no alpha channel that marks missing pixels; give --mask or --hole."
            )
        masks.append(_mask(opaque, inputs.dataset.shape, f"The alpha channel of {name}"))
    if not masks:
        raise UserError("No mask was given; give --mask FILE or --hole left.")
    return torch.stack(masks)


def _mask(opaque: NDArray[np.bool_], shape: tuple[int, ...], source: str) -> Tensor:
    if opaque.shape != tuple(shape[1:]):
        actual, expected = (" x ".join(map(str, sides)) for sides in (opaque.shape, shape[1:]))
        raise UserError(
            f"{source} has {actual} pixels, but the images have {expected}; give that size."
        )
    if not opaque.any():
        raise UserError(f"{source} hides everything; white or opaque pixels are observed.")
    if opaque.all():
        raise UserError(f"{source} hides nothing; black or transparent pixels are missing.")
    return torch.from_numpy(opaque).float()[None]

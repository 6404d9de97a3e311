"""Damaged images restored: what was done to them, undone by a search for codes that explain it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from glo.decoders.decode import decode
from glo.inversion import InitialCodes, Inversion, Operator, add_noise, finish
from glo.metrics.reconstruction import psnr_from_mse
from glo.runs.run import Run
from glo.workflows.encode import batches, search
from glo.workflows.inputs import Inputs

__all__ = ["Degradation", "Restoration", "restore"]

# Noise where none is told, of the spread of the examples: more than a search assumes of itself, as
# whole regions leave more open than scattered values. Measured on 64 digits without the left half,
# 8 answers: 17.3 dB, and 17.1 dB with twice the error of the run's reconstructions.
_NOISE = 0.5


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Degradation:
    """What was done to images (C, H, W): y = A(x) + noise, some of it hidden.

    Attributes:
        operator: A; None sees the image as it is.
        observed: 1 where y is known and 0 where it is hidden, float32 (1, 1, H, W) or one mask for
            each image; None if all is known.
        noise: standard deviation of the noise; None if there is none but what the decoder adds.

    Example:
        >>> from glo.inversion import AveragePool
        >>> Degradation(operator=AveragePool(factor=4)).shape((1, 32, 32))
        (1, 8, 8)
    """

    operator: Operator | None = None
    observed: Tensor | None = None
    noise: float | None = None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that observations of images of `shape` have."""
        return tuple(self._seen(torch.zeros(1, *shape)).shape[1:])

    def apply(self, images: Tensor, rows: Tensor, *, seed: int = 0) -> Tensor:
        """Damage clean images, (b, C, H, W); `rows`, rising one by one, say which noise is whose.

        Hidden pixels are left as they are: nobody looks at them.
        """
        seen = self._seen(images)
        return (
            seen
            if self.noise is None
            else add_noise(seen, self.noise, seed=seed, start=int(rows[0]))
        )

    def known(self, rows: Tensor) -> Tensor | None:
        """Return the masks of these rows, or the one that serves all."""
        shared = self.observed is None or len(self.observed) == 1
        return self.observed if shared or self.observed is None else self.observed[rows]

    def _seen(self, images: Tensor) -> Tensor:
        return images if self.operator is None else self.operator(images)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Restoration:
    """Some images, restored in K ways each.

    Attributes:
        rows: int64 (b,), which of the observations.
        seen: (b, C, H, W), the observations, as large as the images and grey where hidden.
        images: (b, C, H, W), the mean of all answers, and what is known where it is known.
        truth: (b, C, H, W), what was damaged on purpose, or None.
        answers: (b, K, C, H, W), each answer by itself, the lowest residual first.
        residuals: (b, K), mean squared errors of the answers on what was observed.
        spread: (b,), root mean square deviation of the answers: what the observation leaves open.
        steps: int64 (b,), decodings that all answers took.
        converged: bool (b,).
        psnr: (b,), of `images` against the truth in decibels, over what was hidden, or over the
            whole image where nothing was; None without the truth.
        seen_psnr: (b,), likewise of `seen`; None also where pixels are hidden.
    """

    rows: Tensor
    seen: Tensor
    images: Tensor
    truth: Tensor | None
    answers: Tensor
    residuals: Tensor
    spread: Tensor
    steps: Tensor
    converged: Tensor
    psnr: Tensor | None
    seen_psnr: Tensor | None


def restore(
    run: Run,
    seen: Inputs,
    damage: Degradation,
    *,
    starts: InitialCodes,
    answers: int = 8,
    simulate: bool = False,
) -> Iterator[Restoration]:
    """Search for codes whose images, damaged likewise, are what was seen.

    Args:
        run: a finished run of images.
        seen: the observations; clean images with `simulate`.
        damage: what was done to them.
        starts: of `prepare_search`.
        answers: K, how many plausible images are sought for each observation.
        simulate: damage the images first, and compare with them.

    Yields:
        some rows at a time, in order.

    Example:
        >>> from glo.workflows.masks import mask_from_word
        >>> damage = Degradation(observed=mask_from_word("left", (1, 32, 32)))
        >>> starts = prepare_search(run)  # doctest: +SKIP
        >>> parts = restore(run, seen, damage, starts=starts)  # doctest: +SKIP
    """
    for rows in batches(len(seen), answers=answers):
        given = seen.samples.batch(rows)
        target, known = damage.apply(given, rows) if simulate else given, damage.known(rows)
        steps = search(
            run,
            target,
            starts=starts,
            observed=known,
            operator=damage.operator,
            noise=_NOISE * starts.examples_spread if damage.noise is None else damage.noise,
            answers=answers,
        )
        found = finish(steps)
        yield _restored(run, rows, target, known, given if simulate else None, found)


def _restored(
    run: Run,
    rows: Tensor,
    target: Tensor,
    known: Tensor | None,
    truth: Tensor | None,
    found: Inversion,
) -> Restoration:
    images = found.average
    large = functional.interpolate(target, size=images.shape[2:], mode="nearest")
    if known is None:
        region = torch.ones_like(images)
    else:
        region = (1 - known).expand_as(images)
        images = torch.where(region > 0, images, target)
        large = torch.where(region > 0, torch.zeros_like(large), large)
    codes = found.alternatives
    decoded = decode(run.decoder, codes.flatten(0, 1), run.settings.precision)
    return Restoration(
        rows=rows,
        seen=large.clamp(-1, 1),
        images=images,
        truth=truth,
        answers=decoded.unflatten(0, codes.shape[:2]),
        residuals=found.alternative_residuals,
        spread=_mean(found.deviation.square(), region).sqrt(),
        steps=found.steps,
        converged=found.converged,
        psnr=None if truth is None else _psnr(images, truth, region),
        seen_psnr=None if truth is None or known is not None else _psnr(large, truth, region),
    )


def _psnr(images: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    return psnr_from_mse(_mean((images.clamp(-1, 1) - truth).square(), region))


def _mean(values: Tensor, region: Tensor) -> Tensor:
    return (values * region).flatten(1).sum(1) / region.flatten(1).sum(1)

"""What a user may ask of an inversion; one sentence for everything else."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from glo.errors import UserError, UserTypeError, suggest
from glo.inversion.initial_codes import InitialCodes
from glo.inversion.operators import Operator

__all__ = [
    "check_initial_codes",
    "check_observation",
    "check_observed",
    "check_prior",
    "check_search",
    "seen_shape",
]

# Pixels lie in [-1, 1]; noise may carry them further, but not as far as bytes go.
_FARTHEST_PIXEL = 16.0


def seen_shape(operator: Operator | None, starts: InitialCodes) -> tuple[int, ...]:
    """Return the shape of one observation, after trying the operator on two examples.

    Raises:
        UserError: the operator does not keep the batch, or gives no gradient or NaN.
    """
    examples = starts.examples[:2].float().requires_grad_()
    if operator is None:
        return tuple(examples.shape[1:])
    with torch.enable_grad():
        seen: object = operator(examples)
    if not isinstance(seen, Tensor) or seen.ndim < 2 or len(seen) != len(examples):
        given = tuple(seen.shape) if isinstance(seen, Tensor) else type(seen).__name__
        raise UserError(
            f"The operator turns examples {tuple(examples.shape)} into {given}; it must keep the "
            f"first dimension, the batch, and give a tensor of at least two."
        )
    if not seen.requires_grad:
        raise UserError(
            "The operator gives no gradient; build it from differentiable torch functions, without "
            "detach, rounding or NumPy."
        )
    if not bool(torch.isfinite(seen).all()):
        raise UserError("The operator turns examples into NaN or infinity; it must stay finite.")
    return tuple(seen.shape[1:])


def check_observation(target: Tensor, shape: Sequence[int], *, through: bool) -> None:
    """Check that observations are numbers of the right shape.

    Raises:
        UserError: another shape, or none at all.
        UserTypeError: not floating point.
    """
    what = "what the operator makes of an example" if through else "an example of this decoder"
    if target.ndim != len(shape) + 1 or tuple(target.shape[1:]) != tuple(shape):
        raise UserError(
            f"Observations have shape {tuple(target.shape)}, but {what} has shape {tuple(shape)}; "
            f"give (n, {', '.join(map(str, shape))})."
        )
    if len(target) == 0:
        raise UserError("There are no observations; give at least one.")
    if not target.is_floating_point():
        raise UserTypeError(
            f"Observations are {target.dtype}; give floating point, pixels in [-1, 1]."
        )


def check_observed(target: Tensor, observed: Tensor | None, *, images: bool) -> None:
    """Check a mask, and the numbers that it leaves.

    Raises:
        UserError: the mask fits no observation, hides one whole, or leaves NaN or numbers that are
            no pixels.
    """
    known = torch.ones_like(target, dtype=torch.bool)
    if observed is not None:
        _check_mask(observed, target)
        known = (observed > 0).expand_as(target)
    empty = ~known.flatten(1).any(1)
    if bool(empty.any()):
        raise UserError(
            f"Nothing of observation {_first(empty)} is observed; leave it out, or sample from the "
            f"prior instead."
        )
    bad = (known & ~torch.isfinite(target)).flatten(1).any(1)
    if bool(bad.any()):
        raise UserError(
            f"Observation {_first(bad)} holds NaN or infinity where it counts as observed; hide "
            f"missing values with `observed`."
        )
    far = (known & (target.abs() > _FARTHEST_PIXEL)).flatten(1).any(1)
    if images and bool(far.any()):
        row = _first(far)
        reached = float(target[row][known[row]].abs().max())
        raise UserError(
            f"Observation {row} reaches {reached:g}, but pixels lie in [-1, 1]; scale bytes by "
            f"x / 127.5 - 1."
        )


def check_initial_codes(starts: InitialCodes, code_dim: int, shape: Sequence[int]) -> None:
    """Check that starts are those of a decoder.

    Raises:
        UserError: they are of another decoder, or all the same.
    """
    if starts.codes.shape[1] != code_dim or tuple(starts.examples.shape[1:]) != tuple(shape):
        raise UserError(
            f"The starts are codes of {starts.codes.shape[1]} numbers and examples of shape "
            f"{tuple(starts.examples.shape[1:])}, but the decoder turns {code_dim} numbers into "
            f"{tuple(shape)}; make them with decode_starts and this decoder."
        )
    if not starts.codes_spread > 0:
        raise UserError("The starts are all the same code; a search needs starts that differ.")


def check_search(most: int, *, answers: int, steps: int, noise: float, tolerance: float) -> None:
    """Check the numbers that steer a search of `most` starts.

    Raises:
        UserError: a number is out of its range.
    """
    if not 1 <= answers <= most:
        raise UserError(f"answers is {answers}; with {most} starts give a number from 1 to that.")
    if steps < 1:
        raise UserError(f"steps is {steps}; give a whole number from 1 up.")
    if not 0 < noise < math.inf:
        raise UserError(f"noise is {noise:g}; give a standard deviation above 0.")
    if not 0 <= tolerance < 1:
        raise UserError(f"tolerance is {tolerance:g}; give a share from 0 to below 1.")


def check_prior(prior: object, starts: InitialCodes) -> None:
    """Check that a prior is known by name, or gives a number for each code and a gradient.

    Raises:
        UserError: it is neither.
    """
    if not callable(prior):
        if prior not in ("none", "local"):
            raise UserError(
                f"prior is {prior!r}; give 'none', 'local' or a function that returns the log "
                f"density of codes.{suggest(str(prior), ['none', 'local'])}"
            )
        return
    codes = starts.codes[:2].clone().requires_grad_()
    with torch.enable_grad():
        density: Tensor = prior(codes)
    if density.shape != (len(codes),) or not density.requires_grad:
        raise UserError(
            f"The prior's log density gives shape {tuple(density.shape)} for {len(codes)} codes, "
            f"{'with' if density.requires_grad else 'without'} a gradient; it must give one number "
            f"for each code, with a gradient, as that of the prior 'mixture' does."
        )


def _check_mask(observed: Tensor, target: Tensor) -> None:
    pairs = zip(observed.shape, target.shape, strict=False)
    if observed.ndim != target.ndim or any(own not in (1, side) for own, side in pairs):
        raise UserError(
            f"The mask has shape {tuple(observed.shape)}, which does not fit observations of shape "
            f"{tuple(target.shape)}; give (n, 1, H, W) or (1, 1, H, W) for images, (n, F) for "
            f"vectors."
        )
    if bool(torch.isnan(observed.float()).any()):
        raise UserError("The mask holds NaN; give 1 where observed and 0 where hidden.")


def _first(rows: Tensor) -> int:
    return int(rows.nonzero()[0])

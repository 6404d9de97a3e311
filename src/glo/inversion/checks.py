"""Checks of observations, masks, operators and priors of an inversion."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glo.errors import UserError, UserTypeError
from glo.inversion.initial_codes import InitialCodes
from glo.inversion.objective import LogDensity
from glo.inversion.operators import Operator
from glo.inversion.options import InversionOptions
from glo.inversion.start import SearchStart

__all__ = [
    "check_decoder",
    "check_log_density",
    "check_mask",
    "check_start",
    "check_target",
    "observation_shape",
]

# Pixels lie in [-1, 1]; noise may carry them further, but not as far as bytes.
_MAX_PIXEL = 16.0


def check_decoder(initial: InitialCodes, decoder: nn.Module) -> None:
    """Check that initial codes differ, and match a decoder that has `code_dim` and `shape`."""
    dim, shape = initial.codes.shape[1], tuple(initial.examples.shape[1:])
    expected = getattr(decoder, "code_dim", dim), tuple(getattr(decoder, "shape", shape))
    if (dim, shape) != expected:
        raise UserError(
            f"The initial codes have {dim} numbers and examples of shape {shape}, but the decoder "
            f"maps {expected[0]} numbers to {expected[1]}; make them with decode_initial_codes "
            f"and this decoder."
        )
    if not initial.codes_spread > 0:
        raise UserError("The initial codes are all equal; give at least two that differ.")


def observation_shape(operator: Operator | None, initial: InitialCodes) -> tuple[int, ...]:
    """Return the shape of one observation, by applying the operator to two examples."""
    examples = initial.examples[:2].float().requires_grad_()
    if operator is None:
        return tuple(examples.shape[1:])
    with torch.enable_grad():
        output: object = operator(examples)
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(examples):
        actual = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UserError(
            f"The operator maps examples {tuple(examples.shape)} to {actual}; it must keep the "
            f"first dimension, the batch, and return a tensor of at least two."
        )
    if not output.requires_grad:
        raise UserError(
            "The operator has no gradient; build it from differentiable torch functions, without "
            "detach, rounding or NumPy."
        )
    if not bool(torch.isfinite(output).all()):
        raise UserError("The operator maps examples to NaN or infinity; it must stay finite.")
    return tuple(output.shape[1:])


def check_target(x: Tensor, shape: Sequence[int], operator: Operator | None) -> None:
    """Check shape and type of observations."""
    if tuple(x.shape[1:]) != tuple(shape):
        source = "an example of this decoder" if operator is None else "the operator's output"
        raise UserError(
            f"Observations have shape {tuple(x.shape)}, but {source} has shape {tuple(shape)}; "
            f"give (n, {', '.join(map(str, shape))})."
        )
    if len(x) == 0:
        raise UserError("There are no observations; give at least one.")
    if not x.is_floating_point():
        raise UserTypeError(f"Observations are {x.dtype}; give floating point, pixels in [-1, 1].")


def check_mask(x: Tensor, mask: Tensor | None, *, images: bool) -> Tensor | None:
    """Check a mask and the observed values, and return the float32 mask with NaN hidden."""
    if mask is not None:
        pairs = zip(mask.shape, x.shape, strict=False)
        if mask.ndim != x.ndim or any(side not in (1, of_x) for side, of_x in pairs):
            raise UserError(
                f"The mask has shape {tuple(mask.shape)}, which does not fit observations of shape "
                f"{tuple(x.shape)}; give (n, 1, H, W) or (1, 1, H, W) for images, (n, F) for "
                f"vectors."
            )
        if bool(torch.isnan(mask.float()).any()):
            raise UserError("The mask has NaN; give 1 where observed and 0 where hidden.")
        mask = mask > 0
    observed = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand_as(x)
    missing = observed & torch.isnan(x)
    if bool(missing.any()):
        mask = observed = observed & ~missing
    empty = ~observed.flatten(1).any(1)
    if bool(empty.any()):
        raise UserError(f"Every value of observation {_first(empty)} is missing; leave it out.")
    infinite = (observed & torch.isinf(x)).flatten(1).any(1)
    if bool(infinite.any()):
        raise UserError(
            f"Observation {_first(infinite)} has infinity where it is observed; hide missing "
            f"values with mask or NaN."
        )
    far = (observed & (x.abs() > _MAX_PIXEL)).flatten(1).any(1)
    if images and bool(far.any()):
        row = _first(far)
        raise UserError(
            f"Observation {row} reaches {float(x[row][observed[row]].abs().max()):g}, but pixels "
            f"lie in [-1, 1]; scale bytes by x / 127.5 - 1."
        )
    return None if mask is None else mask.float()


def check_log_density(log_density: LogDensity, initial: InitialCodes) -> None:
    """Check that a log density returns one number per code, with a gradient."""
    codes = initial.codes[:2].clone().requires_grad_()
    with torch.enable_grad():
        density: Tensor = log_density(codes)
    if density.shape != (len(codes),) or not density.requires_grad:
        raise UserError(
            f"The prior's log density has shape {tuple(density.shape)} for {len(codes)} codes, "
            f"{'with' if density.requires_grad else 'without'} a gradient; it must return one "
            f"number per code, with a gradient, like the prior 'mixture'."
        )


def check_start(
    start: SearchStart, n: int, initial: InitialCodes, options: InversionOptions
) -> None:
    """Check the number and size of codes at which n searches begin."""
    if options.n_solutions > 1:
        raise UserError(
            f"n_solutions is {options.n_solutions}, but start has one code for each observation; "
            f"leave one of the two out."
        )
    dim = initial.codes.shape[1]
    shapes = tuple(start.codes.shape), tuple(start.inverse_hessian.shape)
    if shapes != ((n, dim), (dim, dim)):
        raise UserError(
            f"start has codes {shapes[0]} and an inverse Hessian {shapes[1]}; for these "
            f"observations they must be {(n, dim)} and {(dim, dim)}."
        )
    if not all(bool(torch.isfinite(part).all()) for part in (start.codes, start.inverse_hessian)):
        raise UserError("start has NaN or infinity; give finite codes and a finite matrix.")


def _first(rows: Tensor) -> int:
    return int(rows.nonzero()[0])

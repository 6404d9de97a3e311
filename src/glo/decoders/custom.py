"""Custom decoders: any `nn.Module` that maps codes (B, D) to examples (B, *shape).

The caller passes a module, a class or a function that makes one. A run folder stores the weights
and, as a reminder, the name 'module:Class'. No code is imported because a file names it: the caller
passes the decoder again, on the command line or in Python, each time the run is opened.
"""

import copy
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn

from glo.decoders.base import Decoder, full_precision
from glo.errors import UserError
from glo.utils.torch_defaults import with_torch_defaults

DecoderLike: TypeAlias = nn.Module | Callable[..., nn.Module]
"""A module, or a class or function that returns one."""


@final
class ModuleDecoder(Decoder):
    """Decode by any module; the adapter between custom decoders and the rest of the package.

    A module is copied, and the copy begins with its present weights. A class or function is called
    with those of the keywords `code_dim`, `shape` and `width` that its signature names. One batch
    is decoded to check the output and to initialize lazy layers.

    Args:
        decoder: a module from codes (B, D) to examples (B, *shape) in float32, images in [-1, 1];
            or a class or function that returns such a module.
        code_dim: D.
        shape: shape of one example, (C, H, W) or (F,).
        width: the setting of that name, for a class or function.
        standardized, float64: as in `Decoder`.

    Raises:
        UserError: the module cannot be made or called, has no parameters, or others than
            float32, or its output differs from the data in shape or dtype.

    Example:
        >>> module = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
        >>> decoder = ModuleDecoder(module, code_dim=4, shape=(1, 8, 8))
        >>> decoder(torch.zeros(2, 4)).shape
        torch.Size([2, 1, 8, 8])
    """

    name = "custom"

    @with_torch_defaults
    def __init__(
        self,
        decoder: DecoderLike,
        *,
        code_dim: int,
        shape: Sequence[int],
        width: int = 64,
        standardized: bool = False,
        float64: bool = False,
    ) -> None:
        super().__init__(
            code_dim=code_dim,
            shape=shape,
            standardized=standardized,
            float64=float64,
            width=width,
        )
        name = decoder_name(decoder)
        try:
            self.module = _make(decoder, code_dim=code_dim, shape=self.shape, width=width)
        except Exception as error:
            raise UserError(
                f"The decoder {name} cannot be made: {type(error).__name__}: {error}"
            ) from error
        if not list(self.module.parameters()):
            raise UserError(
                f"The decoder {name} has no parameters to train; pass an nn.Module with layers, or "
                f"a class or function that returns one."
            )
        dtypes = {w.dtype for w in self.module.parameters() if w.is_floating_point()}
        if dtypes - {torch.float32}:
            raise UserError(
                f"The decoder {name} has weights in {', '.join(sorted(map(str, dtypes)))}; pass "
                f"one in float32, such as decoder.float(), and set precision to bf16 for bfloat16."
            )
        self._check_output(name)

    def forward(self, codes: Tensor) -> Tensor:
        """Return examples (B, *shape)."""
        return full_precision(self.module(self.checked(codes)))

    @torch.no_grad()
    def _check_output(self, name: str) -> None:
        training = self.module.training
        device = next(self.module.parameters()).device
        try:
            output = self.module.eval()(torch.zeros(2, self.code_dim, device=device))
        except Exception as error:
            raise UserError(
                f"The decoder {name} cannot be called with codes (2, {self.code_dim}) in float32: "
                f"{type(error).__name__}: {error}"
            ) from error
        self.module.train(training)
        if not isinstance(output, Tensor):
            raise UserError(f"The decoder {name} returns {type(output).__name__}, not a tensor.")
        expected = (2, *self.shape)
        if output.shape != expected or full_precision(output).dtype != torch.float32:
            fitting = output.ndim > 1 and output[0].numel() == torch.Size(self.shape).numel()
            advice = f"; add nn.Unflatten(1, {self.shape})" if fitting and output.ndim == 2 else ""
            raise UserError(
                f"The decoder {name} maps codes (2, {self.code_dim}) to {output.dtype} "
                f"{tuple(output.shape)}, but the data need torch.float32 {expected}{advice}."
            )


def _make(decoder: DecoderLike, **offered: Any) -> nn.Module:
    if isinstance(decoder, nn.Module):
        return copy.deepcopy(decoder).cpu()
    parameters = inspect.signature(decoder).parameters
    module: object = decoder(**{word: offered[word] for word in offered if word in parameters})
    if not isinstance(module, nn.Module):
        raise TypeError(f"it returns {type(module).__name__}, not an nn.Module")
    return module


def is_custom(name: str | None) -> bool:
    """Check whether the setting `decoder` names a custom decoder, as 'module:Class'."""
    return name is not None and ":" in name


def decoder_name(decoder: DecoderLike) -> str:
    """Return 'module:Class', the name of a custom decoder in the settings of its run."""
    named: Any = decoder if hasattr(decoder, "__qualname__") else type(decoder)
    return f"{named.__module__}:{named.__qualname__}"


def import_decoder(name: str) -> DecoderLike:
    """Import a custom decoder that the user named; this runs its module.

    Args:
        name: 'module:Class', 'module:function' or 'module:instance', on Python's path.

    Raises:
        UserError: there is no such module or name, or it is no decoder.

    Example:
        >>> import_decoder("no.such:Thing")
        Traceback (most recent call last):
        glo.errors.UserError: --decoder is no.such:Thing, and Python finds no module 'no'; install \
it, or put its folder on PYTHONPATH.
    """
    module_name, _, attribute = name.partition(":")
    try:
        result: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            result = getattr(result, part)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--decoder is {name}, and Python finds no module '{error.name}'; install it, or put "
            f"its folder on PYTHONPATH."
        ) from None
    except (AttributeError, ValueError):
        raise UserError(
            f"--decoder is {name}, and {module_name or 'no module'} has no '{attribute}'; give "
            f"module:Class."
        ) from None
    _check_callable(result, name)
    return result  # type: ignore[no-any-return]


def check_custom_decoder(
    name: str | None, decoder: DecoderLike | None, *, where: object
) -> DecoderLike | None:
    """Return the custom decoder that the caller passed for a run, or None if it needs none.

    Args:
        name: setting `decoder` of the run.
        decoder: custom decoder that the caller passed.
        where: the run, for the message.

    Raises:
        UserError: the run needs a custom decoder and none was passed, or the other way round.

    Example:
        >>> check_custom_decoder("shapes:Coordinates", None, where="runs/a")
        Traceback (most recent call last):
        glo.errors.UserError: runs/a has a custom decoder, shapes:Coordinates, and no code is run \
because a file names it; if you trust it, pass --decoder shapes:Coordinates, or decoder= in Python.
    """
    if decoder is None:
        if is_custom(name):
            raise UserError(
                f"{where} has a custom decoder, {name}, and no code is run because a file names "
                f"it; if you trust it, pass --decoder {name}, or decoder= in Python."
            )
        return None
    _check_callable(decoder, repr(decoder))
    if not is_custom(name):
        actual = "a decoder of glo" if name is None else f"the decoder '{name}'"
        raise UserError(
            f"{where} has {actual}, and the custom decoder {decoder_name(decoder)} was passed; "
            f"leave one of the two out."
        )
    return decoder


def _check_callable(decoder: object, name: str) -> None:
    if not callable(decoder):
        raise UserError(
            f"decoder is {name}; pass an nn.Module, or a class or function that returns one."
        )

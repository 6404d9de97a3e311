"""Decoders of the user's own: classes that a run folder names and never imports.

A run that was trained with such a class keeps its name, 'module:Class', as a reminder. It is the
user who names the class each time, on the command line or in Python: what a file says of code is
printed, not followed.
"""

import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import torch

from glo.decoders.base import Decoder
from glo.decoders.build import DECODERS, build_decoder
from glo.errors import UserError

__all__ = [
    "check_custom",
    "class_name",
    "custom_config",
    "custom_decoder",
    "import_decoder",
    "is_custom",
]


def is_custom(name: str | None) -> bool:
    """Tell whether the name of a decoder is that of a class, not one of this package.

    Example:
        >>> is_custom("shapes:Coordinates"), is_custom("dcgan"), is_custom(None)
        (True, False, False)
    """
    return name is not None and ":" in name


def class_name(own: type[Decoder]) -> str:
    """Return the name that a run keeps of a class.

    Example:
        >>> from glo.decoders import MLP
        >>> class_name(MLP)
        'glo.decoders.mlp:MLP'
    """
    return f"{own.__module__}:{own.__qualname__}"


def import_decoder(name: str) -> type[Decoder]:
    """Import a class that the user named; its module is run by that.

    Args:
        name: module:Class, as Python finds the module.

    Raises:
        UserError: there is no such module or class, or it is no decoder.

    Example:
        >>> import_decoder("no.such:Thing")
        Traceback (most recent call last):
        glo.errors.UserError: --decoder is no.such:Thing, and Python finds no module 'no'; install \
it, or put its folder on PYTHONPATH.
    """
    module_name, _, word = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in word.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--decoder is {name}, and Python finds no module '{error.name}'; install it, or put "
            f"its folder on PYTHONPATH."
        ) from None
    except (AttributeError, ValueError):
        raise UserError(
            f"--decoder is {name}, and {module_name or 'no module'} has no '{word}'; give "
            f"module:Class."
        ) from None
    _check_class(found, name)
    return found  # type: ignore[no-any-return]


def custom_decoder(
    name: str | None, given: type[Decoder] | None, *, where: object
) -> type[Decoder] | None:
    """Return the class that the decoder of a run is made of, or None: one of this package.

    Args:
        name: that the settings of the run keep.
        given: the class that the user named.
        where: the run, for the sentence.

    Raises:
        UserError: the run needs a class and none was given, or the other way round.

    Example:
        >>> custom_decoder("shapes:Coordinates", None, where="runs/a")
        Traceback (most recent call last):
        glo.errors.UserError: runs/a has a decoder of somebody's own, shapes:Coordinates, and no \
code is run because a file names it; if you trust it, name it: --decoder shapes:Coordinates, or \
decoder= with the class in Python.
    """
    if given is None:
        if is_custom(name):
            raise UserError(
                f"{where} has a decoder of somebody's own, {name}, and no code is run because a "
                f"file names it; if you trust it, name it: --decoder {name}, or decoder= with the "
                f"class in Python."
            )
        return None
    _check_class(given, str(given))
    if not is_custom(name):
        has = "a decoder of glo" if name is None else f"the decoder '{name}'"
        raise UserError(
            f"{where} has {has}, and {class_name(given)} was given; leave one of the two out."
        )
    return given


def _check_class(given: object, name: str) -> None:
    if not (inspect.isclass(given) and issubclass(given, Decoder)) or inspect.isabstract(given):
        raise UserError(
            f"{name} is no decoder; give a subclass of glo.decoders.Decoder with forward."
        )
    word = getattr(given, "name", None)
    if not isinstance(word, str) or not word or word in DECODERS:
        raise UserError(
            f"{name} has {word!r} as its name, a text of its own that is none of "
            f"{', '.join(DECODERS)}; set it in the class: name = 'mine'."
        )


def custom_config(own: type[Decoder], base: Mapping[str, Any], *, width: int) -> dict[str, Any]:
    """Return the configuration of a class: its defaults, and the width if it takes one.

    Args:
        own: the class.
        base: `code_dim` and `shape`, and `standardised` where columns are kept.
        width: that of the settings.
    """
    more = {"width": width} if "width" in inspect.signature(own).parameters else {}
    return {"name": own.name, **base, **more}


def check_custom(own: type[Decoder], config: Mapping[str, Any]) -> None:
    """Check that a class makes a decoder, and that it can be made again from what is saved of it.

    Args:
        own: the class.
        config: as `custom_config` gives it.

    Raises:
        UserError: it makes something else, or says too little of itself.
    """
    name = class_name(own)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            made = build_decoder(config, own)
            output = made(torch.zeros(2, made.code_dim))
            shape = tuple(output.shape[1:])
            saved = json.loads(json.dumps(made.config))
            again = build_decoder(saved, own)
        except (TypeError, ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            raise UserError(
                f"The decoder {name} cannot be made and called: {type(error).__name__}: {error}"
            ) from None
    if shape != made.shape or output.dtype != torch.float32:
        raise UserError(
            f"The decoder {name} makes {output.dtype} of shape {shape} from a code; the data need "
            f"torch.float32 of shape {made.shape}."
        )
    if _shapes(made) != _shapes(again) or not _shapes(made):
        raise UserError(
            f"The decoder {name} is another one when it is made anew from its config, {saved}; "
            f"pass all its keywords on: super().__init__(code_dim=..., shape=..., width=width)."
        )


def _shapes(decoder: Decoder) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in decoder.state_dict().items()}

"""Which pixels are missing: said by a word, a mask image, or the images' own transparency."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from glo.data.pixels import convert_channels
from glo.data.readers.images import decode, decode_opaque
from glo.errors import UserError, suggest
from glo.inversion import half_mask, hole_mask
from glo.workflows.inputs import Inputs

__all__ = ["mask_from_alpha", "mask_from_file", "mask_from_word"]

_HALVES: tuple[Literal["left", "right", "top", "bottom"], ...] = ("left", "right", "top", "bottom")


def mask_from_word(word: str, shape: tuple[int, ...]) -> Tensor:
    """Make a mask of what the command line calls a hole.

    Args:
        word: left, right, top, bottom, or center:SIDE.
        shape: (C, H, W).

    Returns:
        float32 (1, 1, H, W).

    Raises:
        UserError: it is none of these.

    Example:
        >>> mask_from_word("center:2", (1, 4, 4))[0, 0, 1]
        tensor([1., 0., 0., 1.])
    """
    for half in _HALVES:
        if word == half:
            return half_mask(shape, half)
    kind, _, side = word.partition(":")
    if kind == "center" and side.isascii() and side.isdigit():
        return hole_mask(shape, int(side))
    allowed = [*_HALVES, "center:SIDE"]
    raise UserError(
        f"--hole is {word!r}; give left, right, top, bottom, or center and a side in pixels, such "
        f"as center:{min(shape[1:]) // 2}.{suggest(word, allowed)}"
    )


def mask_from_file(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Read a mask: what is transparent is hidden, or what is black where nothing is transparent.

    Args:
        path: an image file.
        shape: of the observations, (C, H, W).

    Returns:
        float32 (1, 1, H, W).

    Raises:
        UserError: it cannot be read, has another size, or hides everything or nothing.
    """
    if not path.is_file():
        raise UserError(f"There is no mask {path}; give a black and white image.")
    try:
        known = decode_opaque(path)
        if known is None or bool(known.all()):
            known = convert_channels(decode(path)[None], 1)[0, ..., 0] >= 128
    except UserError as error:
        raise UserError(f"The mask {path} cannot be read: {error}.") from None
    return _checked(torch.from_numpy(known), shape, f"The mask {path}")[None]


def mask_from_alpha(seen: Inputs) -> Tensor:
    """Read which pixels of the observations are opaque: those are known.

    Returns:
        float32 (n, 1, H, W).

    Raises:
        UserError: an image has no transparent pixels, or no others.
    """
    masks = []
    for name, path in zip(seen.names, seen.files, strict=False):
        known = decode_opaque(path)
        if known is None:
            raise UserError(
                f"{name} has no alpha channel that says what is missing; give --mask or --hole."
            )
        masks.append(_checked(torch.from_numpy(known), seen.samples.shape, f"The alpha of {name}"))
    if not masks:
        raise UserError("What is missing was not said; give --mask FILE or --hole left.")
    return torch.stack(masks)


def _checked(known: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    if tuple(known.shape) != tuple(shape[1:]):
        given, wanted = (" x ".join(map(str, sides)) for sides in (known.shape, shape[1:]))
        raise UserError(f"{what} is of {given} pixels, but the images of {wanted}; give that size.")
    if not bool(known.any()):
        raise UserError(f"{what} hides everything; white or opaque is what is known.")
    if bool(known.all()):
        raise UserError(f"{what} hides nothing; black or transparent is what is missing.")
    return known.float()[None]

"""Searches that are watched: the code of a picture, and what may be in a hole."""

import io
import time
import warnings
from collections.abc import Iterator
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data import to_uint8
from glo.data.pixels import convert_channels, resize
from glo.data.readers.images import decode
from glo.errors import UserError, printable
from glo.explorer.latent_space import LatentSpace
from glo.explorer.protocol import array_to_base64, codes_to_base64, parse_int, parse_pixels
from glo.explorer.scheduler import Scheduler
from glo.inversion import InitialCodes, Inversion, SearchState
from glo.utils.random import permutation
from glo.workflows.encode import search

__all__ = ["StreamingSearch"]

_MOST_ANSWERS = 8
_MOST_SEED = 2**31 - 1


@final
class StreamingSearch:
    """Searches in the space of a run. Each gives back its turn after every decoding.

    Args:
        space: of a finished run.
        scheduler: scheduler of the search's work.

    Raises:
        UserError: nothing can be searched for in this run; the sentence says why.
    """

    def __init__(self, space: LatentSpace, scheduler: Scheduler) -> None:
        run = space.run
        if len(run.data.shape) != 3:
            raise UserError("This run is of vectors; pictures are for runs of images.")
        run.check_finished(
            unfinished="its codes and decoder still change",
            single="a search needs two codes to begin at",
        )
        self._space, self._scheduler = space, scheduler
        self._channels, *sides = run.data.shape
        self._sides: tuple[int, int] = (sides[0], sides[1])

    def read(self, body: bytes, name: str) -> NDArray[np.uint8]:
        """Read an image file as those of the training were read.

        Args:
            body: the file.
            name: how the person calls it.

        Returns:
            uint8 (H, W, C).

        Raises:
            UserError: it is not an image that can be used.
        """
        try:
            # In turn, too: an image of the largest size allowed takes some memory.
            with self._scheduler.background(), warnings.catch_warnings():
                # Pillow warns of odd metadata.
                warnings.simplefilter("ignore")
                pixels = decode(io.BytesIO(body))
        except UserError as error:
            raise UserError(f"{name} cannot be used: {error}.") from None
        pixels = convert_channels(pixels[None], self._channels)
        fitted = resize(pixels, self._sides, self._space.run.settings.crop)
        return fitted.reshape(*self._sides, self._channels)

    def encode(self, pixels: NDArray[np.uint8], name: str) -> Iterator[dict[str, Any]]:
        """Search for the code of a picture.

        Args:
            pixels: of `read`.
            name: how the person calls it.

        Yields:
            the picture as the decoder sees it, a line for each decoding, and what was found.
        """
        yield {"kind": "seen", "pixels": array_to_base64(pixels, "u1"), "name": printable(name)}
        space, began = self._space, time.perf_counter()
        for step in self._search(_target(pixels), None, space.initial_codes, 1):
            if isinstance(step, SearchState):
                yield {
                    "kind": "step",
                    "share": step.share,
                    "residual": float(step.residual[0]),
                    "code": codes_to_base64(step.codes[0]),
                }
                continue
            yield {
                "kind": "done",
                "code": codes_to_base64(step.codes[0]),
                "residual": float(step.residual[0]),
                "typical_residual": space.typical_error,
                "converged": bool(step.converged[0]),
                "seconds": time.perf_counter() - began,
                "neighbours": space.nearest(step.codes[0]),
            }

    def restore(self, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Search for several pictures that agree with what is known of one.

        Args:
            values: `pixels`, `mask` (1 known, 0 hidden), `n` answers, `seed`.

        Returns:
            an iterator of a line for each decoding, and at last what was found.

        Raises:
            UserError: these cannot be used; nothing has begun then.
        """
        pixels = parse_pixels(values, "pixels", (*self._sides, self._channels))
        mask = parse_pixels(values, "mask", self._sides) > 0
        if not mask.any():
            raise UserError("The mask hides everything; leave some of the picture.")
        if mask.all():
            raise UserError("The mask hides nothing; paint over what is to be found.")
        answers = parse_int(values.get("n", 4), "n", 1, _MOST_ANSWERS)
        seed = parse_int(values.get("seed", 0), "seed", 0, _MOST_SEED)
        return self._restored(pixels, mask, answers, seed)

    def _restored(
        self, pixels: NDArray[np.uint8], mask: NDArray[np.bool_], answers: int, seed: int
    ) -> Iterator[dict[str, Any]]:
        space, began = self._space, time.perf_counter()
        starts = _chosen(space.initial_codes, seed)
        observed = torch.from_numpy(mask)[None, None].float()
        found = self._search(_target(pixels), observed, starts, min(answers, len(starts)))
        for step in found:
            if isinstance(step, SearchState):
                yield {"kind": "step", "share": step.share}
                continue
            codes = step.alternatives[0]
            restored = np.where(mask[..., None], pixels, to_uint8(space.decode(codes)))
            yield {
                "kind": "done",
                "codes": codes_to_base64(codes),
                "restored": array_to_base64(restored, "u1"),
                "residuals": step.alternative_residuals[0].tolist(),
                "seconds": time.perf_counter() - began,
            }

    def _search(
        self, target: Tensor, observed: Tensor | None, starts: InitialCodes, answers: int
    ) -> Iterator[SearchState | Inversion]:
        steps = search(self._space.run, target, starts=starts, observed=observed, answers=answers)
        while True:
            with self._scheduler.background():
                step = next(steps, None)
            if step is None:
                return
            yield step


def _target(pixels: NDArray[np.uint8]) -> Tensor:
    # As `Dataset.batch` does: 0 and 255 become exactly -1 and 1.
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0


def _chosen(starts: InitialCodes, seed: int) -> InitialCodes:
    """Return all starts for seed 0, and for any other a random half, from which answers differ."""
    half = len(starts) // 2
    if seed == 0 or half < 2 * _MOST_ANSWERS:
        return starts
    rows = permutation(len(starts), seed, 0)[:half].to(starts.codes.device)
    return InitialCodes(
        codes=starts.codes[rows],
        examples=starts.examples[rows],
        examples_spread=starts.examples_spread,
        codes_spread=starts.codes_spread,
    )

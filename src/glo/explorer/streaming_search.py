"""Streaming searches of the page: the code of an image, and solutions for masked pixels."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data import SourceOptions, to_uint8
from glo.data.pixels import resize
from glo.data.readers.image_files import decode_files
from glo.decoders.decode import decode
from glo.errors import UserError, printable
from glo.explorer.latent_space import LatentSpace
from glo.explorer.protocol import array_to_base64, codes_to_base64, parse_int, parse_pixels
from glo.explorer.scheduler import Scheduler
from glo.inversion import InitialCodes, Inversion, InversionProgress
from glo.losses import MSELoss
from glo.utils.random import permutation
from glo.workflows.encode import SearchKind, encode
from glo.workflows.inputs import image_options

_MAX_SOLUTIONS = 8
_MAX_SEED = 2**31 - 1


@final
class StreamingSearch:
    """Searches in the code space of a finished run of images, one turn per decoding."""

    def __init__(self, space: LatentSpace, scheduler: Scheduler) -> None:
        run = space.run
        if not run.is_images:
            raise UserError("This run is of vectors; pictures are for runs of images.")
        run.check_finished(
            unfinished="its codes and decoder still change",
            single="a search needs two codes to begin at",
        )
        self._space, self._scheduler = space, scheduler
        self._channels, *sides = run.data.shape
        self._sides: tuple[int, int] = (sides[0], sides[1])

    def read(self, body: bytes, name: str) -> NDArray[np.uint8]:
        """Decode an image file like the training data, uint8 (H, W, C); `name` is for messages."""
        run = self._space.run
        options = image_options(run, run.data.shape, SourceOptions(reading=run.reading))

        def refuse(_: int, reason: str) -> None:
            raise UserError(f"{name} cannot be used: {reason}.")

        # In turn, as an image of the largest allowed size takes some memory.
        with self._scheduler.background():
            files = decode_files(lambda: [io.BytesIO(body)], 1, options, None, refuse)
        assert files.rows is not None
        # Files keep their sides where those of the run are no square.
        pixels: NDArray[np.uint8] = resize(files.rows, self._sides, options.crop)[0]
        return pixels

    def encode(self, pixels: NDArray[np.uint8], name: str) -> Iterator[dict[str, Any]]:
        """Yield the result of `read`, a line per decoding, and the code that the search found.

        With an encoder its code comes first, and the search begins there. It begins again, after a
        line of its own, where the result explains the image badly.
        """
        yield {"kind": "seen", "pixels": array_to_base64(pixels, "u1"), "name": printable(name)}
        space, x, start, share = self._space, _to_tensor(pixels), time.perf_counter(), 0.0
        yield from self._encode_once(x, start)
        for event in self._search(x, None, space.initial_codes, 1, "refine"):
            if isinstance(event, InversionProgress):
                if event.fraction < share:
                    yield {"kind": "again"}
                share = event.fraction
                yield {
                    "kind": "step",
                    "share": event.fraction,
                    "residual": float(event.residuals[0]),
                    "code": codes_to_base64(event.codes[0]),
                }
                continue
            yield {
                "kind": "done",
                "code": codes_to_base64(event.codes[0]),
                "residual": float(event.residuals[0]),
                "typical_residual": space.typical_error,
                "converged": bool(event.converged[0]),
                "seconds": time.perf_counter() - start,
                "neighbours": space.nearest(event.codes[0]),
            }

    def _encode_once(self, x: Tensor, start: float) -> Iterator[dict[str, Any]]:
        """Yield the code of the run's encoder, which takes one pass, if there is one."""
        run, encoder = self._space.run, self._space.encoder
        if encoder is None:
            return
        with self._scheduler.interactive(), torch.no_grad():
            codes = encoder(x.to(encoder.mean.device)).cpu()
            decoded = decode(run.decoder, codes, run.settings.precision)
        yield {
            "kind": "encoded",
            "code": codes_to_base64(codes[0]),
            "residual": float(MSELoss()(decoded, x, None)[0]),
            "seconds": time.perf_counter() - start,
        }

    def restore(self, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Search for several images that agree with the observed pixels of one.

        `values` holds `pixels`, `mask` (1 observed, 0 hidden), `n` solutions and `seed`; unusable
        values raise UserError before the search begins.
        """
        pixels = parse_pixels(values, "pixels", (*self._sides, self._channels))
        mask = parse_pixels(values, "mask", self._sides) > 0
        if not mask.any():
            raise UserError("The mask hides everything; leave some of the image.")
        if mask.all():
            raise UserError("The mask hides nothing; paint over the missing region.")
        n_solutions = parse_int(values.get("n", 4), "n", 1, _MAX_SOLUTIONS)
        seed = parse_int(values.get("seed", 0), "seed", 0, _MAX_SEED)
        return self._restore(pixels, mask, n_solutions, seed)

    def _restore(
        self, pixels: NDArray[np.uint8], mask: NDArray[np.bool_], n_solutions: int, seed: int
    ) -> Iterator[dict[str, Any]]:
        space, start = self._space, time.perf_counter()
        initial = _subset(space.initial_codes, seed)
        observed = torch.from_numpy(mask)[None, None].float()
        n_solutions = min(n_solutions, len(initial))
        # One solution, too, depends on the seed.
        for event in self._search(_to_tensor(pixels), observed, initial, n_solutions, "full"):
            if isinstance(event, InversionProgress):
                yield {"kind": "step", "share": event.fraction}
                continue
            codes = event.solutions[0]
            restored = np.where(mask[..., None], pixels, to_uint8(space.decode(codes)))
            yield {
                "kind": "done",
                "codes": codes_to_base64(codes),
                "restored": array_to_base64(restored, "u1"),
                "residuals": event.solution_residuals[0].tolist(),
                "seconds": time.perf_counter() - start,
            }

    def _search(
        self,
        x: Tensor,
        mask: Tensor | None,
        initial: InitialCodes,
        n_solutions: int,
        search: SearchKind,
    ) -> Iterator[InversionProgress | Inversion]:
        """Search in a thread, and yield its progress and its result; closing stops the search."""
        events: SimpleQueue[InversionProgress | Inversion | Exception] = SimpleQueue()
        closed = threading.Event()

        def work() -> None:
            try:
                with ExitStack() as turn:
                    turn.enter_context(self._scheduler.background())

                    def report(progress: InversionProgress) -> bool:
                        turn.close()
                        events.put(progress)
                        turn.enter_context(self._scheduler.background())
                        return closed.is_set()

                    run = self._space.run
                    inversion = encode(
                        run,
                        x,
                        initial,
                        mask=mask,
                        n_solutions=n_solutions,
                        search=search,
                        callback=report,
                    )
                events.put(inversion)
            except Exception as error:
                events.put(error)

        threading.Thread(target=work, name="search", daemon=True).start()
        try:
            event = None
            while not isinstance(event, Inversion):
                event = events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            closed.set()


def _to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    # As `Dataset.batch` does: 0 and 255 become exactly -1 and 1.
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0


def _subset(initial: InitialCodes, seed: int) -> InitialCodes:
    """Return all initial codes for seed 0, else a random half, which changes the solutions."""
    half = len(initial) // 2
    if seed == 0 or half < 2 * _MAX_SOLUTIONS:
        return initial
    rows = permutation(len(initial), seed, 0)[:half].to(initial.codes.device)
    return replace(initial, codes=initial.codes[rows], examples=initial.examples[rows])

"""What the page may ask of a run, and the answers."""

import io
from typing import Any, final

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from glo.errors import UserError
from glo.explorer.progress import TrainingLog, picture_path, pictures_of
from glo.explorer.protocol import (
    bytes_of,
    codes_from,
    number_from,
    object_from,
    packed_codes,
    unpacked,
    whole,
    word_from,
)
from glo.explorer.run_watcher import RunWatcher
from glo.explorer.training_examples import NotThere
from glo.latents.interpolation import Path as WalkPath
from glo.latents.interpolation import interpolate
from glo.priors import sample_label

__all__ = ["Handlers"]

_MOST_DECODED, _MOST_SAMPLES, _MOST_STEPS, _MOST_WORST = 256, 100, 60, 500
_MOST_SEED = 2**31 - 1
_PATHS: tuple[WalkPath, ...] = ("straight", "sphere")


@final
class Handlers:
    """Answers to single questions; each method serves one address.

    Args:
        shelf: the run.
    """

    def __init__(self, shelf: RunWatcher) -> None:
        self._shelf = shelf
        self._diary = TrainingLog(shelf.run.folder / "metrics.jsonl")

    def chart(self, request: Request) -> Response:
        """Return the codes laid out in the plane."""
        return JSONResponse(self._shelf.space.chart(request.path_params["method"]))

    def directions(self, request: Request) -> Response:
        """Return the widest directions of the codes."""
        found = self._shelf.space.directions
        return JSONResponse(
            {
                "mean": packed_codes(found.mean),
                "components": packed_codes(found.components),
                "scales": packed_codes(found.deviations),
                "explained": found.shares.tolist(),
                "k": len(found),
            }
        )

    def decode(self, request: Request, body: bytes) -> Response:
        """Return what some codes decode to, in raw bytes."""
        space = self._shelf.space
        content, shape = bytes_of(
            space.decode(codes_from(body, space.codes.shape[1], most=_MOST_DECODED))
        )
        headers = {"X-Shape": ",".join(map(str, shape))}
        return Response(content, media_type="application/octet-stream", headers=headers)

    def sample(self, request: Request, body: bytes) -> Response:
        """Return codes drawn from a prior."""
        space, wish = self._shelf.space, object_from(body)
        if not space.priors:
            raise UserError("This run has no prior yet, so there is nothing to sample from.")
        name = word_from(wish.get("prior", space.priors[0]), "prior", space.priors)
        n = whole(wish.get("n", 1), "n", 1, _MOST_SAMPLES)
        choices: dict[str, Any] = {
            "seed": whole(wish.get("seed", 0), "seed", 0, _MOST_SEED),
            "start": whole(wish.get("start", 0), "start", 0, _MOST_SEED),
            "temperature": number_from(wish.get("temperature", 1.0), "temperature", 0.01, 10.0),
        }
        if wish.get("label") is None:
            codes = space.prior(name).sample(n, **choices)
        else:
            numbers = space.labels.numbers
            label = numbers[whole(wish["label"], "label", 0, len(numbers) - 1)]
            codes = sample_label(space.prior(name), space.known_labels, label, n, **choices)
        return JSONResponse({"codes": packed_codes(codes), "n": n})

    def example(self, request: Request) -> Response:
        """Return what is known of a training example."""
        space, row = self._shelf.space, self._row(request)
        return JSONResponse(
            {
                "row": row,
                "code": packed_codes(space.codes[row]),
                "label": space.labels.of(row),
                "error": space.error_of(row),
                "neighbours": space.near(space.codes[row], but=row),
                "has_image": space.run.is_images and space.originals.samples is not None,
            }
        )

    def image(self, request: Request) -> Response:
        """Return a training example itself as a PNG."""
        space, row = self._shelf.space, self._row(request)
        if len(space.run.data.shape) != 3:
            raise NotThere("The examples of this run are vectors, not images.")
        pixels = space.originals.require().rows[row]
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        written = io.BytesIO()
        picture.save(written, format="PNG")
        return Response(written.getvalue(), media_type="image/png")

    def worst(self, request: Request) -> Response:
        """Return the training examples with the largest errors."""
        space = self._shelf.space
        n = whole(request.query_params.get("n", "60"), "n", 1, _MOST_WORST)
        rows, errors, source = space.errors
        most = errors.topk(min(n, len(errors)))
        chosen = rows[most.indices]
        listed = [
            {"row": row, "error": error, "label": space.labels.of(row)}
            for row, error in zip(chosen.tolist(), most.values.tolist(), strict=True)
        ]
        codes = packed_codes(space.codes[chosen])
        return JSONResponse({"rows": listed, "codes": codes, "source": source, "of": len(rows)})

    def neighbours(self, request: Request, body: bytes) -> Response:
        """Return the training examples nearest to a code."""
        space = self._shelf.space
        found = space.near(codes_from(body, space.codes.shape[1], most=1)[0])
        codes = space.codes[[each["row"] for each in found]]
        return JSONResponse({"neighbours": found, "codes": packed_codes(codes)})

    def walk(self, request: Request, body: bytes) -> Response:
        """Return the codes between two codes."""
        space, wish = self._shelf.space, object_from(body)
        dim = space.codes.shape[1]
        first, last = (
            codes_from(unpacked(wish.get(name), name), dim, most=1)[0] for name in ("from", "to")
        )
        path: WalkPath = word_from(wish.get("path", "straight"), "path", _PATHS)
        codes = interpolate(
            first,
            last,
            whole(wish.get("steps", 12), "steps", 2, _MOST_STEPS),
            path=path,
            constraint=space.run.settings.constraint,
        )
        return JSONResponse({"codes": packed_codes(codes), "n": len(codes)})

    def progress(self, request: Request) -> Response:
        """Return the records of the training that are new to the page."""
        after = whole(request.query_params.get("after", "0"), "after", 0, _MOST_SEED)
        run, state = self._shelf.run, self._shelf.state
        records, total = self._diary.after(after)
        return JSONResponse(
            {
                "records": records,
                "next": total,
                "restarted": after > total,
                "state": state,
                "pictures": pictures_of(run.folder),
                "seconds_left": None if state == "finished" else self._diary.seconds_left(run),
            }
        )

    def picture(self, request: Request) -> Response:
        """Return one of the run's pictures."""
        path = picture_path(self._shelf.run.folder, request.path_params["name"])
        return FileResponse(path, media_type="image/png")

    def _row(self, request: Request) -> int:
        n = len(self._shelf.space.codes)
        try:
            return whole(request.path_params["row"], "row", 0, n - 1)
        except UserError as error:
            raise NotThere(str(error)) from None

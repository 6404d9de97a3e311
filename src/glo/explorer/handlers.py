"""Request handlers of the page's API, one method per address."""

import io
import math
from pathlib import Path
from typing import Any, final

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from glo._version import __version__
from glo.errors import UserError
from glo.explorer.latent_space import LatentSpace
from glo.explorer.progress import TrainingLog, list_pictures, picture_path
from glo.explorer.protocol import (
    NotFound,
    base64_to_bytes,
    codes_to_base64,
    examples_to_bytes,
    parse_choice,
    parse_codes,
    parse_float,
    parse_int,
    parse_object,
    parse_rows,
)
from glo.explorer.row_table import errors_of, list_rows, row_table, write_csv
from glo.explorer.run_watcher import RunWatcher
from glo.imaging.grids import shows_pixels
from glo.latents.interpolation import Path as WalkPath
from glo.latents.interpolation import interpolate
from glo.priors import sample_label

_MAX_DECODED, _MAX_SAMPLES, _MAX_STEPS, _MAX_WORST = 256, 100, 60, 500
_MAX_SEED = 2**31 - 1
_ORDERS = ("error", "anomaly")
_PATHS: tuple[WalkPath, ...] = ("straight", "sphere")


@final
class Handlers:
    """Handlers of single requests about a run."""

    def __init__(self, watcher: RunWatcher) -> None:
        self._watcher = watcher
        self._log = TrainingLog(watcher.run.folder / "metrics.jsonl")

    def run(self, request: Request) -> Response:
        """Return name, shape, state, scores and capabilities of the run."""
        state = self._watcher.state
        run = self._watcher.run
        summary, settings = run.summary or {}, run.settings
        values = {
            "name": run.data.name,
            "folder_name": Path(run.folder).resolve().name,
            "state": state,
            "kind": "image" if run.is_images else "vector",
            "shape": list(run.data.shape),
            "shows_pixels": run.is_images and shows_pixels(*run.data.shape[1:]),
            "n": run.data.n,
            "code_dim": settings.code_dim,
            "constraint": settings.constraint,
            "epochs": settings.epochs_for(run.data.n),
            "mse": _finite(summary.get("mse")),
            "explained_variance": _finite(summary.get("explained_variance")),
            "psnr": _finite(summary.get("psnr")),
            "diagnosis": summary.get("diagnosis", []),
            "version": __version__,
        }
        return JSONResponse(values | _capabilities(None if state == "empty" else self._space))

    def map(self, request: Request) -> Response:
        """Return the codes projected to the plane."""
        return JSONResponse(self._space.map(request.path_params["method"]))

    def directions(self, request: Request) -> Response:
        """Return the principal directions of the codes."""
        directions = self._space.directions
        return JSONResponse(
            {
                "mean": codes_to_base64(directions.mean),
                "components": codes_to_base64(directions.components),
                "scales": codes_to_base64(directions.deviations),
                "explained": directions.shares.tolist(),
                "k": len(directions),
            }
        )

    def decode(self, request: Request, body: bytes) -> Response:
        """Return decoded codes as raw bytes, their shape in a header."""
        space = self._space
        codes = parse_codes(body, space.codes.shape[1], max_count=_MAX_DECODED)
        content, shape = examples_to_bytes(space.decode(codes))
        headers = {"X-Shape": ",".join(map(str, shape))}
        return Response(content, media_type="application/octet-stream", headers=headers)

    def sample(self, request: Request, body: bytes) -> Response:
        """Return codes drawn from a prior."""
        space, values = self._space, parse_object(body)
        if not space.priors:
            raise UserError("This run has no prior yet, so there is nothing to sample from.")
        prior = space.prior(
            parse_choice(values.get("prior", space.priors[0]), "prior", space.priors)
        )
        n = parse_int(values.get("n", 1), "n", 1, _MAX_SAMPLES)
        options: dict[str, Any] = {
            "seed": parse_int(values.get("seed", 0), "seed", 0, _MAX_SEED),
            "start": parse_int(values.get("start", 0), "start", 0, _MAX_SEED),
            "temperature": parse_float(values.get("temperature", 1.0), "temperature", 0.01, 10.0),
        }
        if values.get("label") is None:
            codes = prior.sample(n, **options)
        else:
            numbers = space.labels.numbers
            label = numbers[parse_int(values["label"], "label", 0, len(numbers) - 1)]
            codes = sample_label(prior, space.run.label_classifier, label, n, **options)
        return JSONResponse({"codes": codes_to_base64(codes), "n": n})

    def example(self, request: Request) -> Response:
        """Return code, label, error and neighbours of a training example."""
        space, row = self._space, self._row(request)
        return JSONResponse(
            {
                **space.about(row),
                "code": codes_to_base64(space.codes[row]),
                "error": space.error_of(row),
                "neighbours": space.nearest(space.codes[row], exclude=row),
                "has_image": space.run.is_images and space.examples.dataset is not None,
            }
        )

    def find(self, request: Request) -> Response:
        """Return number, identity, label and code of an example by its identity or number."""
        space = self._space
        try:
            row = space.row_ids.find(request.query_params.get("text", ""))
        except UserError as error:
            raise NotFound(str(error)) from None
        return JSONResponse({**space.about(row), "code": codes_to_base64(space.codes[row])})

    def image(self, request: Request) -> Response:
        """Return a training image as a PNG."""
        space, row = self._space, self._row(request)
        if not space.run.is_images:
            raise NotFound("The examples of this run are vectors, not images.")
        pixels = space.examples.require().rows[row]
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")

    def worst(self, request: Request) -> Response:
        """Return the training examples with the largest errors or anomaly scores."""
        space = self._space
        n = parse_int(request.query_params.get("n", "60"), "n", 1, _MAX_WORST)
        by = parse_choice(request.query_params.get("by", "error"), "by", _ORDERS)
        rows, errors, source = space.errors
        anomaly = space.anomaly
        if by == "anomaly" and anomaly is None:
            raise NotFound("The errors of this run are not saved, so there are no anomaly scores.")
        # Saved errors are those of all rows, as are the scores.
        values = errors if anomaly is None or by == "error" else anomaly
        worst = rows[values.topk(min(n, len(values))).indices]
        columns = (column.tolist() for column in (worst, *errors_of(space, worst)))
        scores = [None] * len(worst) if anomaly is None else anomaly[worst].tolist()
        listed = [
            space.about(row) | {"error": error, "percentile": percentile, "anomaly": score}
            for row, error, percentile, score in zip(*columns, scores, strict=True)
        ]
        codes = codes_to_base64(space.codes[worst])
        return JSONResponse({"rows": listed, "codes": codes, "source": source, "of": len(rows)})

    def codes(self, request: Request, body: bytes) -> Response:
        """Return the codes of rows as raw float32."""
        codes = self._space.codes[parse_rows(body, len(self._space.codes))]
        content = codes.numpy().astype("<f4").tobytes()
        return Response(content, media_type="application/octet-stream")

    def rows(self, request: Request, body: bytes) -> Response:
        """Return identities, labels, errors and percentiles of rows."""
        space = self._space
        return JSONResponse(row_table(space, parse_rows(body, len(space.codes))))

    def rows_csv(self, request: Request, body: bytes) -> Response:
        """Return the table of rows as CSV."""
        space = self._space
        text = write_csv(space, parse_rows(body, len(space.codes)))
        return PlainTextResponse(text, media_type="text/csv")

    def rows_list(self, request: Request, body: bytes) -> Response:
        """Return rows as a text file for `glo forget`, `glo walk` and `glo export`."""
        space, name = self._space, self._watcher.run.folder.resolve().name
        return PlainTextResponse(list_rows(space, parse_rows(body, len(space.codes)), name))

    def neighbours(self, request: Request, body: bytes) -> Response:
        """Return the training examples with the nearest codes to a code."""
        space = self._space
        nearest = space.nearest(parse_codes(body, space.codes.shape[1], max_count=1)[0])
        codes = space.codes[[example["row"] for example in nearest]]
        return JSONResponse({"neighbours": nearest, "codes": codes_to_base64(codes)})

    def walk(self, request: Request, body: bytes) -> Response:
        """Return the codes of an interpolation between two codes."""
        space, values = self._space, parse_object(body)
        ends = (base64_to_bytes(values.get(name), name) for name in ("from", "to"))
        first, last = (parse_codes(end, space.codes.shape[1], max_count=1)[0] for end in ends)
        codes = interpolate(
            first,
            last,
            parse_int(values.get("steps", 12), "steps", 2, _MAX_STEPS),
            path=parse_choice(values.get("path", "straight"), "path", _PATHS),
            constraint=space.run.settings.constraint,
        )
        return JSONResponse({"codes": codes_to_base64(codes), "n": len(codes)})

    def progress(self, request: Request) -> Response:
        """Return the records of training after those that the page has."""
        after = parse_int(request.query_params.get("after", "0"), "after", 0, _MAX_SEED)
        run, state = self._watcher.run, self._watcher.state
        records, total = self._log.after(after)
        return JSONResponse(
            {
                "records": records,
                "next": total,
                "restarted": after > total,
                "state": state,
                "pictures": list_pictures(run.folder),
                "seconds_left": None if state == "finished" else self._log.seconds_left(run),
            }
        )

    def picture(self, request: Request) -> Response:
        """Return one of the run's pictures."""
        path = picture_path(self._watcher.run.folder, request.path_params["name"])
        return FileResponse(path, media_type="image/png")

    @property
    def _space(self) -> LatentSpace:
        return self._watcher.space

    def _row(self, request: Request) -> int:
        try:
            return parse_int(request.path_params["row"], "row", 0, len(self._space.codes) - 1)
        except UserError as error:
            raise NotFound(str(error)) from None


def _capabilities(space: LatentSpace | None) -> dict[str, Any]:
    priors = [] if space is None else space.priors
    return {
        "labels": [] if space is None else list(space.labels.names),
        "priors": priors,
        "default_prior": priors[0] if priors else None,
        "data": space is not None and space.examples.dataset is not None,
        "map_methods": [] if space is None else space.map_methods,
        "can_sample": bool(priors),
        "tasks": ["inpaint"] if space is not None and space.can_search else [],
        "typical_residual": None if space is None else space.typical_error,
    }


def _finite(value: object) -> float | None:
    """Return a number that JSON can represent, or None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

"""The page's addresses, and what becomes of a mistake."""

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from glo.decoders import Decoder
from glo.errors import UserError
from glo.explorer.auth import AuthMiddleware, refusal
from glo.explorer.handlers import Handlers
from glo.explorer.protocol import line, object_from
from glo.explorer.run_info import run_info
from glo.explorer.run_watcher import RunWatcher
from glo.explorer.scheduler import Closed, Scheduler
from glo.explorer.streaming_search import StreamingSearch
from glo.explorer.training_examples import NotThere

__all__ = ["make_app"]

_STATIC = Path(__file__).parent / "static"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_OURS = "Something went wrong in glo itself; the terminal that it runs in says more."
_CLOSED = "The page was closed before this was done."

_log = logging.getLogger("glo.explorer")


def make_app(
    folder: Path,
    *,
    token: str,
    port: int,
    warm: bool = True,
    decoder: type[Decoder] | None = None,
) -> ASGIApp:
    """Make the page of a run.

    Args:
        folder: of the run.
        token: the secret that every request must bring.
        port: that it is served on.
        warm: whether to prepare, in the background, what the page will ask for.
        decoder: the class of the run's decoder, if that is none of this package.

    Returns:
        an ASGI application.

    Raises:
        UserError: it is not a run folder.
    """
    turns = Scheduler()
    shelf = RunWatcher(folder, turns, decoder)
    app = Starlette(
        routes=[*_page_routes(), *_routes(shelf, Handlers(shelf), turns)],
        exception_handlers={
            UserError: _mistake,
            HTTPException: _http_mistake,
            ClientDisconnect: _cut_short,
            Closed: _closed,
            Exception: _fault,
        },
        lifespan=_lifespan(shelf, turns, warm),
    )
    return AuthMiddleware(app, token=token, port=port)


def _page_routes() -> list[Route]:
    # The names are fixed here, so no name in a request ever becomes a path.
    files = {path.name: path for path in _STATIC.glob("*") if path.suffix in _KINDS}

    def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", media_type="text/html")

    def static(request: Request) -> Response:
        path = files.get(request.path_params["name"])
        if path is None:
            raise NotThere("There is no such file.")
        return FileResponse(path, media_type=_KINDS[path.suffix])

    return [Route("/", page), Route("/static/{name}", static)]


def _routes(shelf: RunWatcher, answers: Handlers, turns: Scheduler) -> list[Route]:
    def run(request: Request) -> Response:
        return JSONResponse(run_info(shelf))

    def encode(request: Request, body: bytes) -> Response:
        live = StreamingSearch(shelf.space, turns)
        name = unquote(request.headers.get("x-name", ""), errors="replace")[:200] or "The file"
        return _stream(live.encode(live.read(body, name), name))

    def restore(request: Request, body: bytes) -> Response:
        return _stream(StreamingSearch(shelf.space, turns).restore(object_from(body)))

    return [
        Route("/api/run", run),
        Route("/api/map/{method}", answers.chart),
        Route("/api/directions", answers.directions),
        Route("/api/decode", _with_body(answers.decode), methods=["POST"]),
        Route("/api/sample", _with_body(answers.sample), methods=["POST"]),
        Route("/api/example/{row}", answers.example),
        Route("/api/example/{row}/image", answers.image),
        Route("/api/worst", answers.worst),
        Route("/api/neighbours", _with_body(answers.neighbours), methods=["POST"]),
        Route("/api/walk", _with_body(answers.walk), methods=["POST"]),
        Route("/api/encode", _with_body(encode), methods=["POST"]),
        Route("/api/restore", _with_body(restore), methods=["POST"]),
        Route("/api/progress", answers.progress),
        Route("/api/picture/{name}", answers.picture),
    ]


def _with_body(work: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(work, request, body)

    return endpoint


def _stream(events: Iterator[dict[str, Any]]) -> Response:
    return StreamingResponse(_lines(events), media_type="application/x-ndjson")


def _lines(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Write events as lines; the status was sent long ago, so a mistake is a line too."""
    try:
        for event in events:
            yield line(event)
    except UserError as error:
        yield line({"kind": "error", "error": str(error)})
    except Closed:
        yield line({"kind": "error", "error": _CLOSED})
    except Exception:
        _log.exception("while answering in a stream")
        yield line({"kind": "error", "error": _OURS})


def _mistake(request: Request, error: Exception) -> Response:
    return refusal(404 if isinstance(error, NotThere) else 400, str(error))


def _http_mistake(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these"
    words = {404: "There is nothing at this address.", 405: "This address takes no such request."}
    return refusal(error.status_code, words.get(error.status_code, error.detail))


def _cut_short(request: Request, error: Exception) -> Response:
    return refusal(400, "The request was cut short.")


def _closed(request: Request, error: Exception) -> Response:
    return refusal(503, _CLOSED)


def _fault(request: Request, error: Exception) -> Response:
    return refusal(500, _OURS)


def _lifespan(shelf: RunWatcher, turns: Scheduler, warm: bool) -> Callable[[Starlette], Any]:
    def prepare() -> None:
        # What fails here fails again, and is told, when somebody asks for it.
        with suppress(Exception):
            shelf.space.warm()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker = threading.Thread(target=prepare, name="prepare")
        if warm:
            worker.start()
        try:
            yield
        finally:
            turns.close()
            if warm:
                await run_in_threadpool(worker.join, 10)

    return lifespan

"""ASGI application of the page: routes, error responses, lifespan."""

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
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from glo import imaging
from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.explorer.auth import AuthMiddleware, error_response
from glo.explorer.handlers import Handlers
from glo.explorer.protocol import NotFound, json_line, parse_object
from glo.explorer.run_watcher import RunWatcher
from glo.explorer.scheduler import Closed, Scheduler
from glo.explorer.streaming_search import StreamingSearch

_STATIC = Path(__file__).parent / "static"
# Shared with the report, the exported page and the documentation.
_TOKENS = Path(imaging.__file__).parent / "tokens.css"
# Named here: the system's table of types may name scripts as plain text.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_INTERNAL_ERROR = "Something went wrong in glo itself; its terminal shows the error."
_CLOSED = "The page was closed before this was done."

_log = logging.getLogger("glo.explorer")


def make_app(
    folder: Path, *, token: str, port: int, warm: bool = True, decoder: DecoderLike | None = None
) -> ASGIApp:
    """Make the ASGI application of a run's page; UserError where `folder` is no run folder.

    Every request must carry `token`; `warm` computes the inputs of searches in the background.
    """
    scheduler = Scheduler()
    watcher = RunWatcher(folder, scheduler, decoder)
    app = Starlette(
        routes=[*_page_routes(), *_api_routes(watcher, scheduler)],
        exception_handlers={
            UserError: _user_error,
            HTTPException: _http_error,
            ClientDisconnect: _respond(400, "The request was cut short."),
            Closed: _respond(503, _CLOSED),
            Exception: _respond(500, _INTERNAL_ERROR),
        },
        lifespan=_lifespan(watcher, scheduler, warm),
    )
    return AuthMiddleware(app, token=token, port=port)


def _page_routes() -> list[Route]:
    # A fixed list: no name in a request becomes a path.
    paths = [*_STATIC.glob("*"), _TOKENS]
    files = {path.name: path for path in paths if path.suffix in _MEDIA_TYPES}

    def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", media_type="text/html")

    def static(request: Request) -> Response:
        path = files.get(request.path_params["name"])
        if path is None:
            raise NotFound("There is no such file.")
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix])

    return [Route("/", page), Route("/static/{name}", static)]


def _api_routes(watcher: RunWatcher, scheduler: Scheduler) -> list[Route]:
    handlers = Handlers(watcher)

    def encode(request: Request, body: bytes) -> Response:
        search = StreamingSearch(watcher.space, scheduler)
        name = unquote(request.headers.get("x-name", ""), errors="replace")[:200] or "The file"
        return _stream(search.encode(search.read(body, name), name))

    def restore(request: Request, body: bytes) -> Response:
        return _stream(StreamingSearch(watcher.space, scheduler).restore(parse_object(body)))

    gets = {
        "run": handlers.run,
        "map/{method}": handlers.map,
        "directions": handlers.directions,
        "find": handlers.find,
        "example/{row}": handlers.example,
        "example/{row}/image": handlers.image,
        "worst": handlers.worst,
        "progress": handlers.progress,
        "picture/{name}": handlers.picture,
    }
    posts = {
        "decode": handlers.decode,
        "sample": handlers.sample,
        "codes": handlers.codes,
        "rows": handlers.rows,
        "rows.csv": handlers.rows_csv,
        "rows.txt": handlers.rows_list,
        "neighbours": handlers.neighbours,
        "walk": handlers.walk,
        "encode": encode,
        "restore": restore,
    }
    return [
        *(Route(f"/api/{path}", handler) for path, handler in gets.items()),
        *(Route(f"/api/{path}", _with_body(f), methods=["POST"]) for path, f in posts.items()),
    ]


def _with_body(handler: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handler, request, await request.body())

    return endpoint


def _stream(events: Iterator[dict[str, Any]]) -> Response:
    return StreamingResponse(_lines(events), media_type="application/x-ndjson")


def _lines(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Encode events as lines, an error too: the status is sent before the first line."""
    try:
        for event in events:
            yield json_line(event)
    except UserError as error:
        yield json_line({"kind": "error", "error": str(error)})
    except Closed:
        yield json_line({"kind": "error", "error": _CLOSED})
    except Exception:
        _log.exception("in a streamed response")
        yield json_line({"kind": "error", "error": _INTERNAL_ERROR})


def _user_error(request: Request, error: Exception) -> Response:
    return error_response(404 if isinstance(error, NotFound) else 400, str(error))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class"
    messages = {404: "There is nothing at this address.", 405: "This address has no such method."}
    return error_response(error.status_code, messages.get(error.status_code, error.detail))


def _respond(status: int, message: str) -> Callable[[Request, Exception], Response]:
    return lambda request, error: error_response(status, message)


def _lifespan(watcher: RunWatcher, scheduler: Scheduler, warm: bool) -> Callable[[Starlette], Any]:
    def precompute() -> None:
        # An error occurs again, and is shown, in the request that needs the result.
        with suppress(Exception):
            watcher.space.precompute()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker = threading.Thread(target=precompute, name="precompute")
        if warm:
            worker.start()
        try:
            yield
        finally:
            scheduler.close()
            if warm:
                await run_in_threadpool(worker.join, 10)

    return lifespan

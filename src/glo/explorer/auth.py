"""ASGI middleware: token authentication, Host and Origin checks, request-size limit.

The server listens on this machine only, yet other users of the machine can reach its ports, and a
foreign web page can make a browser send requests here. So each request must carry the token of the
printed address and name this machine and port as its host, and a request with a body must come
from the page itself.
"""

import secrets
from typing import final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 20 * 2**20
# A body beyond the limit is read up to this size and dropped: a browser shows a response only
# after it has sent everything.
_MAX_DROPPED = 10 * MAX_BYTES
_TOO_LARGE = f"The request is larger than {MAX_BYTES // 2**20} MB; send a smaller file."

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def error_response(status: int, message: str) -> JSONResponse:
    """Return a response with an error's message."""
    return JSONResponse({"error": message}, status_code=status)


@final
class AuthMiddleware:
    """Pass requests with the token of a page to its application, and refuse others."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"glo-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; web sockets are ignored."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        response = self._check(Request(scope))
        if response is not None:
            await response(scope, receive, send_with_headers)
        else:
            await self._app(scope, _limited(receive), send_with_headers)

    def _check(self, request: Request) -> ASGIApp | None:
        """Return the refusal of a request or its redirection; None for a valid request."""
        headers = request.headers
        # Starlette's TrustedHostMiddleware ignores the port and repeated headers.
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return error_response(
                400, "This page is served at 127.0.0.1 only; open the address that glo printed."
            )
        has_token = self._is_token(request.query_params.get("token", ""))
        if not has_token and not self._is_token(request.cookies.get(self._cookie, "")):
            return error_response(
                403, "The token is missing; open the address that glo explore printed."
            )
        # Browsers send the origin with every POST; other clients have the token.
        same_origin = headers.get("origin") in {None, *(f"http://{host}" for host in self._hosts)}
        if request.method not in ("GET", "HEAD") and not same_origin:
            return error_response(
                403, "The request came from another web page; use the page of glo explore."
            )
        if has_token and request.url.path == "/":
            # Removes the token from the address bar, and so from history and copied addresses.
            response = RedirectResponse("/", status_code=303)
            response.set_cookie(
                self._cookie, self._token, httponly=True, samesite="strict", path="/"
            )
            return response
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > _MAX_DROPPED:
            return error_response(413, _TOO_LARGE)
        return None

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode("utf-8", "replace"), self._token.encode())


def _limited(receive: Receive) -> Receive:
    """Limit the bytes of a body as they arrive, whatever its announced length."""
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size <= MAX_BYTES:
            return message
        while message.get("more_body", False) and size <= _MAX_DROPPED:
            message = await receive()
            size += len(message.get("body", b""))
        raise HTTPException(413, _TOO_LARGE)

    return receive_limited

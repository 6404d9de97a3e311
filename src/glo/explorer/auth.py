"""Who may ask, and how much: nobody but the person who started the page may use it.

The page listens on this machine only. That alone does not keep others out: other people of the same
machine can reach its ports, and a foreign web page can make a browser send requests here. So every
request must carry the token of the printed address, name this machine as its host, and, where it
brings something, come from our own page.
"""

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import final

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MOST_BYTES", "AuthMiddleware", "refusal"]

MOST_BYTES = 20 * 2**20
# A body that is too large is read on so far and thrown away: a browser shows an answer only after
# it has sent everything.
_MOST_READ = 10 * MOST_BYTES

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


def refusal(status: int, sentence: str) -> JSONResponse:
    """Return an answer that says in one sentence why a request is refused."""
    return JSONResponse({"error": sentence}, status_code=status)


@final
class AuthMiddleware:
    """Let through what the person's own page asks, and refuse the rest.

    Args:
        app: what is guarded.
        token: the secret of the printed address.
        port: that the page is served on.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"glo-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # No web sockets; the start and end of the server are the app's own affair.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._answer(scope)
        if answer is not None:
            await answer(scope, receive, send_guarded)
        else:
            await self._app(scope, _limited(receive), send_guarded)

    def _answer(self, scope: Scope) -> ASGIApp | None:
        """Return the refusal or the redirection that a request gets, or None to serve it."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return refusal(
                400, "This page is served at 127.0.0.1 only; open the address that glo printed."
            )
        given = QueryParams(scope["query_string"]).get("token", "")
        by_address, by_cookie = self._is_token(given), self._is_token(self._kept(headers))
        if not by_address and not by_cookie:
            return refusal(403, "This needs the token; open the address that glo explore printed.")
        if scope["method"] not in ("GET", "HEAD") and not self._is_ours(headers):
            return refusal(403, "Another web page asked for this; use the page of glo explore.")
        if by_address and scope["path"] == "/":
            return self._enter()
        if _announced(headers) > _MOST_READ:
            return refusal(413, _TOO_LARGE)
        return None

    def _enter(self) -> RedirectResponse:
        # The token leaves the address bar, and with it the history and any copied address.
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            self._cookie, self._token.decode(), httponly=True, samesite="strict", path="/"
        )
        return answer

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _kept(self, headers: Headers) -> str:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies[self._cookie].value if self._cookie in cookies else ""

    def _is_ours(self, headers: Headers) -> bool:
        # Browsers name the origin of every POST; who sends none is no browser and has the token.
        origin = headers.get("origin")
        return origin is None or origin in {f"http://{host}" for host in self._hosts}


_TOO_LARGE = f"That is larger than {MOST_BYTES // 2**20} MB; give a smaller file."


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """Count the bytes of a body as they come, whatever length was announced."""
    seen = 0

    async def receive_limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen <= MOST_BYTES:
            return message
        while message.get("more_body", False) and seen <= _MOST_READ:
            message = await receive()
            seen += len(message.get("body", b""))
        raise HTTPException(413, _TOO_LARGE)

    return receive_limited

"""Server of the page: on this machine only, until an interrupt."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
import uvicorn

from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.explorer.app import make_app

_HOST = "127.0.0.1"
_POLL_SECONDS = 1.0


def serve(
    folder: Path,
    *,
    port: int = 0,
    parent: int | None = None,
    on_ready: Callable[[str], object] = print,
    decoder: DecoderLike | None = None,
) -> None:
    """Serve the page of a run until an interrupt, or until the process of id `parent` has ended.

    `on_ready` gets the address, token included, once the port is bound; port 0 is a free one.
    """
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        config = uvicorn.Config(
            make_app(folder, token=token, port=number, decoder=decoder),
            http="h11",
            ws="none",
            lifespan="on",
            # Addresses hold the token, so requests are never logged.
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        # Two lanes of work share the cores; set before any thread computes.
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))
        on_ready(f"http://{_HOST}:{number}/?token={token}")
        server = uvicorn.Server(config)
        if parent is not None:
            threading.Thread(target=_stop_after, args=(parent, server), daemon=True).start()
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; give 1 to 65535, or 0 for a free one.")
    # With its protocol named, asyncio disables Nagle's algorithm; else the kernel delays the second
    # half of each small response by 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # On Windows the option would let two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"--port {port} cannot be served ({error.strerror}); give another, or 0 for a free one."
        ) from None
    return listener


def _stop_after(parent: int, server: uvicorn.Server) -> None:
    # A killed process cannot end its children; they poll for it.
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    server.should_exit = True

"""The page served: on this machine alone, until it is stopped."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
import uvicorn

from glo.decoders import Decoder
from glo.errors import UserError
from glo.explorer.app import make_app

__all__ = ["serve"]

_HOST = "127.0.0.1"
_POLL = 1.0


def serve(
    folder: Path,
    *,
    port: int = 0,
    parent: int | None = None,
    opened: Callable[[str], object] = print,
    decoder: type[Decoder] | None = None,
) -> None:
    """Serve the page of a run until an interrupt.

    Args:
        folder: of the run.
        port: to serve it on; 0: a free one.
        parent: end when the process of this number, which started this one, has ended.
        opened: is told the address, token included, when the port is taken.
        decoder: the class of the run's decoder, if that is none of this package.

    Raises:
        UserError: it is not a run folder, or the port is taken.
    """
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        config = uvicorn.Config(
            make_app(folder, token=token, port=number, decoder=decoder),
            http="h11",
            ws="none",
            lifespan="on",
            # Addresses hold the token, so no request is ever written to a log.
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        # Two lanes of work share the cores; set before any thread has begun to compute.
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))
        opened(f"http://{_HOST}:{number}/?token={token}")
        server = uvicorn.Server(config)
        if parent is not None:
            threading.Thread(target=_follow, args=(server, parent), daemon=True).start()
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; give 1 to 65535, or none for a free one.")
    # With its protocol named, asyncio sends each small answer at once; else the kernel holds the
    # second half of it back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # Elsewhere this would let two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"--port {port} cannot be served ({error.strerror}); give another, or none for a free "
            f"one."
        ) from None
    return listener


def _follow(server: uvicorn.Server, parent: int) -> None:
    # A killed process cannot end its children; they must notice.
    while os.getppid() == parent:
        time.sleep(_POLL)
    server.should_exit = True

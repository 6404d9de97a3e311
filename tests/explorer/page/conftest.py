"""Server of a run in a process, and a browser on its page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.builders import start_glo, train

# For machines that run other programs as well.
TIMEOUT_MS = 90_000
PANELS = ["map", "directions", "sample", "between", "drop", "paint", "worst", "training"]
# Chromium's words on the console for a refused request and for a stopped server.
REFUSED = ("Failed to load resource",)
STOPPED = (*REFUSED, "ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE")

Open = Callable[..., Any]


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Serve the page of a run and yield its address, token included."""
    server = start_glo(["explore", str(run), "--no-browser"])
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.fixture(scope="session")
def run(folder: Path, blobs: Any) -> Path:
    """Finished run of 60 images of one spot, labelled by the quarter of the spot."""
    rows = blobs(60, side=16).rows
    place = rows.reshape(len(rows), -1).argmax(1)
    quarter = (place // 16 // 8) * 2 + (place % 16) // 8
    np.savez(folder / "blobs.npz", x=rows, labels=quarter)
    assert train(str(folder / "blobs.npz"), folder / "run") == 0
    return folder / "run"


@pytest.fixture(scope="session")
def address(run: Path) -> Iterator[str]:
    """Address of that run's page."""
    with served(run) as address:
        yield address


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a page; afterwards check its console and that it made no requests elsewhere.

    `allow` lists parts of the console messages that a test provokes.
    """
    faults: list[str] = []
    allowed: list[str] = []
    contexts = []

    def on_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            faults.append(message.text)

    def on_request(request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws") and url.hostname != "127.0.0.1":
            faults.append(request.url)

    def open_page(address: str, *, allow: tuple[str, ...] = (), **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        allowed.extend(allow)
        page = context.new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", on_request)
        page.goto(address)
        page.wait_for_selector("body.ready, body.no-hand")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in faults if not any(part in text for part in allowed)] == []


@pytest.fixture
def page(open_page: Open, address: str) -> Any:
    """Page of the run with the map open and the first example in hand."""
    page = open_page(address)
    wait_until_idle(page)
    return page


def wait_until_idle(page: Any) -> None:
    """Wait until the code in hand is decoded and its neighbours are listed."""
    page.wait_for_function("() => document.querySelectorAll('#hand-neighbours li').length > 0")
    page.wait_for_function("() => document.querySelector('#hand-neighbours').ariaBusy === 'false'")


def pixels(page: Any, selector: str) -> str:
    """Return the content of a canvas as a string to compare."""
    return str(page.eval_on_selector(selector, "canvas => canvas.toDataURL()"))


def wait_for_change(page: Any, selector: str, before: str) -> None:
    """Wait until the content of a canvas differs from `before`."""
    script = "([s, old]) => document.querySelector(s).toDataURL() !== old"
    page.wait_for_function(script, arg=[selector, before])


def centre(page: Any, selector: str) -> tuple[float, float]:
    """Return the centre of an element in the coordinates of the mouse."""
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

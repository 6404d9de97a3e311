"""Small runs, a real server for each, and a real browser that looks at it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.builders import start_glo, train

# Long, for machines that do much else.
WAIT = 90_000
Run = Callable[..., Path]


@pytest.fixture(scope="session")
def train_run(tmp_path_factory: pytest.TempPathFactory, blobs: Any) -> Run:
    """Train a tiny run on pictures of one soft spot, whose label is the quarter it lies in."""

    def make(n: int = 60, labels: bool = True, vectors: bool = False) -> Path:
        folder = tmp_path_factory.mktemp("page")
        rows = blobs(n, side=16).rows
        data = {"x": rows[:, 4, :, 0].astype("float32") / 255 if vectors else rows}
        if labels:
            data["labels"] = quarter(rows)
        np.savez(folder / "data.npz", **data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GLO_CACHE", str(folder / "cache"))
            assert train(str(folder / "data.npz"), folder / "run") == 0
        return folder / "run"

    return make


def quarter(rows: Any) -> Any:
    """Return in which quarter of each picture, (N, 16, 16, 1), the spot lies: 0 to 3."""
    place = rows.reshape(len(rows), -1).argmax(1)
    return (place // 16 // 8) * 2 + (place % 16) // 8


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
def run(train_run: Run) -> Path:
    """A finished run of 60 labelled pictures; its data are at hand."""
    return train_run()


@pytest.fixture(scope="session")
def address(run: Path) -> Iterator[str]:
    """Where the page of that run is served."""
    with served(run) as address:
        yield address


@pytest.fixture
def see(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page, and see afterwards that it complained of nothing and asked nobody else.

    `faults` are the mistakes that a test makes on purpose: part of the browser's own words.
    """
    seen: list[tuple[str, str]] = []
    allowed: list[str] = []
    contexts = []

    def open_page(
        address: str, *, panel: str = "", faults: tuple[str, ...] = (), **how: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 860}, **how)
        contexts.append(context)
        context.set_default_timeout(WAIT)
        allowed.extend(faults)
        page = context.new_page()
        page.on("console", lambda told: seen.append((told.type, told.text)))
        page.on("pageerror", lambda error: seen.append(("error", str(error))))
        page.on("request", lambda asked: seen.append(("request", asked.url)))
        page.goto(address + (f"#{panel}" if panel else ""))
        page.wait_for_selector("body.ready, body.no-hand")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in seen if is_fault(*each, allowed)] == []


def is_fault(kind: str, text: str, allowed: list[str]) -> bool:
    """Whether a word to the console or a request should not have been."""
    if kind == "request":
        return urlsplit(text).scheme in {"http", "https", "ws"} and not is_here(text)
    return kind in {"error", "warning"} and not any(part in text for part in allowed)


def is_here(url: str) -> bool:
    return urlsplit(url).hostname == "127.0.0.1"


@pytest.fixture
def page(see: Callable[..., Any], address: str) -> Any:
    """The page of the run, open on the map, with the first example in hand."""
    page = see(address)
    recompute_batchnorm_stats(page)
    return page


def recompute_batchnorm_stats(page: Any) -> None:
    """Wait until what is in hand was decoded and its neighbours are there."""
    page.wait_for_function("() => document.querySelectorAll('#hand-neighbours li').length > 0")
    page.wait_for_function("() => document.querySelector('#hand-neighbours').ariaBusy === 'false'")


def drawing(page: Any, selector: str) -> str:
    """Return what is drawn on a canvas, as text to compare."""
    return str(page.eval_on_selector(selector, "canvas => canvas.toDataURL()"))


def changed(page: Any, selector: str, before: str) -> None:
    """Wait until something else is drawn on a canvas."""
    script = "([s, old]) => document.querySelector(s).toDataURL() !== old"
    page.wait_for_function(script, arg=[selector, before])


def centre(page: Any, selector: str) -> tuple[float, float]:
    """Return the middle of an element, in the coordinates of the mouse."""
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

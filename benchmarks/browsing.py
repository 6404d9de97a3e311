"""Explorer page of a run, served and opened in Debian's Chromium."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A searching server answers late, and a measuring script shares the machine with it.
WAIT = 500_000


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Run `glo explore` on a run, and yield the address of the page."""
    command = [sys.executable, "-m", "glo", "explore", str(run), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless browser and yield it."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        sys.exit("There is no chromium; on Debian: apt-get install chromium")
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser: Any, address: str, **how: Any) -> Any:
    """Open the page in a new window and wait for the first image."""
    page = browser.new_context(**how).new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.wait_for_selector("body.ready")
    wait_for_neighbors(page)
    return page


def wait_for_neighbors(page: Any) -> None:
    """Wait until the neighbors of the current image are drawn."""
    page.wait_for_function("() => document.querySelector('#hand-neighbours').ariaBusy === 'false'")


def choose_method(page: Any, method: str) -> None:
    """Select another map method, if the page offers it."""
    choice = page.locator(f"#methods input[value={method}]")
    if choice.count():
        choice.check(force=True)
        page.wait_for_timeout(500)
        page.wait_for_selector("#map-stage[aria-busy=false]")

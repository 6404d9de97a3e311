"""Requests to a run's page without a browser, and the forms that numbers travel in."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from glo.explorer import make_app

PORT, TOKEN = 4321, "the-token"
# Examples of the labelled run.
N = 40

Visit = Callable[[Path], TestClient]


def browser(folder: Path, **changes: Any) -> TestClient:
    """Return a client of a run's page that has not been let in yet."""
    app = make_app(folder, token=TOKEN, port=PORT, warm=False)
    return TestClient(app, base_url=f"http://127.0.0.1:{PORT}", **changes)


def sentence(response: Any) -> str:
    """Return why a request was refused, after checking that it is one sentence."""
    text = response.json()["error"]
    assert isinstance(text, str)
    assert text.endswith((".", "?"))
    assert "\n" not in text
    return text


def floats(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f4").copy()


def ints(text: str) -> NDArray[np.int32]:
    return np.frombuffer(base64.b64decode(text), "<i4").copy()


def raw(numbers: Any) -> bytes:
    return np.asarray(numbers, "<f4").tobytes()


def packed(numbers: Any, kind: str = "<f4") -> str:
    return base64.b64encode(np.asarray(numbers, kind).tobytes()).decode()


def lines(response: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]

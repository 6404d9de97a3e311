"""Client of a run's page without a browser, and the encodings of its numbers."""

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
COOKIE = {"cookie": f"glo-{PORT}={TOKEN}"}
# Examples of the labelled run.
N = 40

Visit = Callable[[Path], TestClient]


def client_of(folder: Path, **options: Any) -> TestClient:
    """Return a client of a run's page without its token."""
    app = make_app(folder, token=TOKEN, port=PORT, warm=False)
    return TestClient(app, base_url=f"http://127.0.0.1:{PORT}", **options)


def check_refusal(response: Any, status: int, *parts: str) -> None:
    """Check the status of a refusal, and that its message is one sentence with `parts`."""
    assert response.status_code == status, response.text
    message = response.json()["error"]
    assert message.endswith((".", "?"))
    assert "\n" not in message
    for part in parts:
        assert part in message


def encode(numbers: Any, dtype: str = "<f4") -> str:
    return base64.b64encode(np.asarray(numbers, dtype).tobytes()).decode()


def decode(text: str, dtype: str = "<f4", shape: tuple[int, ...] = (-1,)) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()


def raw(numbers: Any) -> bytes:
    return np.asarray(numbers, "<f4").tobytes()


def lines(response: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]

"""Searches that are watched: a dropped file, a hole, and what cannot be searched for."""

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.builders import SIDE, images
from tests.explorer.asking import Visit, floats, lines, packed, sentence

from glo.errors import UserError
from glo.explorer import streaming_search as live
from glo.runs.run import open_run


def png(pixels: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format="PNG")
    return written.getvalue()


def bomb() -> bytes:
    """A PNG whose header says that it is larger than any machine."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pixels_of(text: str, *shape: int) -> Any:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def test_dropped_file_is_searched_for(visit: Visit, labelled: Path) -> None:
    run, picture = open_run(labelled), images(40)[5]
    headers = {"X-Name": "a%20%C3%BC.png", "Content-Type": "image/png"}
    answer = visit(labelled).post("/api/encode", content=png(picture), headers=headers)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    seen, *steps, done = lines(answer)
    assert (seen["kind"], seen["name"]) == ("seen", "a ü.png")
    np.testing.assert_array_equal(pixels_of(seen["pixels"], SIDE, SIDE), picture)
    assert steps
    assert all(step["kind"] == "step" for step in steps)
    shares = [step["share"] for step in steps]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] <= 1
    # The best so far is told, so the residual never rises.
    residuals = [step["residual"] for step in steps]
    assert residuals == sorted(residuals, reverse=True)
    assert done["kind"] == "done"
    assert done["residual"] == pytest.approx(residuals[-1], rel=1e-3)
    assert floats(done["code"]).shape == (4,)
    assert run.errors is not None
    assert done["typical_residual"] == pytest.approx(float(run.errors.median()))
    # It was trained on, so its own code is not much better than what is found.
    assert done["residual"] < 1.5 * float(run.errors[5]) + 1e-3
    assert len(done["neighbours"]) == 8
    assert isinstance(done["converged"], bool)
    assert done["seconds"] > 0


def test_two_searches_find_the_same(visit: Visit, labelled: Path) -> None:
    content = png(images(1, seed=9)[0])
    found = [lines(visit(labelled).post("/api/encode", content=content))[-1] for _ in range(2)]
    assert found[0]["code"] == found[1]["code"]


def test_file_of_another_size_and_colour(visit: Visit, labelled: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    seen, *_, done = lines(visit(labelled).post("/api/encode", content=png(colours)))
    assert pixels_of(seen["pixels"], SIDE, SIDE).std() > 0
    assert done["kind"] == "done"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an image"),
        (b"just text, whatever its name says", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (bomb(), "pixels"),
        (png(images(1)[0])[:60], ""),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    ],
    ids=["empty", "text", "postscript", "bomb", "cut", "svg"],
)
def test_files_that_are_no_pictures(
    visit: Visit, labelled: Path, content: bytes, said: str
) -> None:
    headers = {"X-Name": "holiday.png", "Content-Type": "image/png"}
    answer = visit(labelled).post("/api/encode", content=content, headers=headers)
    assert answer.status_code == 400
    text = sentence(answer)
    assert text.startswith("holiday.png cannot be used: ")
    assert said in text


def test_name_is_only_shown(visit: Visit, labelled: Path) -> None:
    headers = {"X-Name": "..%2F..%2Fetc%2Fpasswd%0A%00"}
    answer = visit(labelled).post("/api/encode", content=b"x", headers=headers)
    assert "../../etc/passwd\\n\\x00 cannot be used" in sentence(answer)


def wish(**changes: Any) -> dict[str, Any]:
    mask = np.ones((SIDE, SIDE), np.uint8)
    mask[:, :3] = 0
    pixels = images(40)[5]
    return {"pixels": packed(pixels, "u1"), "mask": packed(mask, "u1"), "n": 3, "seed": 0} | changes


def test_hole_is_filled_in_several_ways(visit: Visit, labelled: Path) -> None:
    *steps, done = lines(visit(labelled).post("/api/restore", json=wish()))
    assert steps
    assert all(0 < step["share"] <= 1 for step in steps)
    restored = pixels_of(done["restored"], 3, SIDE, SIDE)
    # What was known is as it was.
    np.testing.assert_array_equal(restored[:, :, 3:], np.stack([images(40)[5][:, 3:]] * 3))
    assert floats(done["codes"]).shape == (12,)
    assert done["residuals"] == sorted(done["residuals"])
    client = visit(labelled)
    decoded = client.post("/api/decode", content=floats(done["codes"]).tobytes()).content
    hole = np.frombuffer(decoded, np.uint8).reshape(3, SIDE, SIDE)[:, :, :3].astype(int)
    assert np.abs(hole - restored[:, :, :3]).max() <= 2


def test_seed_gives_other_answers(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    codes = [
        lines(client.post("/api/restore", json=wish(seed=seed)))[-1]["codes"] for seed in (0, 1, 1)
    ]
    assert codes[1] == codes[2]
    assert codes[0] != codes[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mask": packed(np.ones((SIDE, SIDE)), "u1")}, "hides nothing"),
        ({"mask": packed(np.zeros((SIDE, SIDE)), "u1")}, "hides everything"),
        ({"mask": packed(np.ones(3), "u1")}, "mask holds 3 bytes"),
        ({"mask": None}, "mask is not base64"),
        ({"pixels": "é"}, "pixels is not base64"),
        ({"pixels": packed(np.ones(65), "u1")}, "pixels holds 65 bytes"),
        ({"n": 9}, "n is 9"),
        ({"n": 0}, "n is 0"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_bad_holes(visit: Visit, labelled: Path, changes: dict[str, Any], said: str) -> None:
    answer = visit(labelled).post("/api/restore", json=wish(**changes))
    assert answer.status_code == 400
    assert said in sentence(answer)


def test_mistake_on_the_way_is_a_line(
    visit: Visit, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise UserError("This cannot be searched for.")
        yield

    monkeypatch.setattr(live, "search", fail)
    answer = visit(labelled).post("/api/restore", json=wish())
    assert answer.status_code == 200
    assert lines(answer) == [{"kind": "error", "error": "This cannot be searched for."}]

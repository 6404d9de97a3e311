"""Streamed searches: dropped files, painted holes, and refusals of both."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image
from tests.builders import SIDE, images, save_data, train
from tests.explorer.client import N, Visit, check_refusal, decode, encode, lines

from glo.cli.app import run
from glo.errors import UserError
from glo.explorer import streaming_search
from glo.runs.run import open_run


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def bomb() -> bytes:
    """Return a PNG whose header announces more pixels than any machine can hold."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_code_of_a_file(visit: Visit, labelled: Path) -> None:
    errors, picture = open_run(labelled).errors, images(N)[5]
    headers = {"X-Name": quote("a ü.png"), "Content-Type": "image/png"}
    responses = [
        visit(labelled).post("/api/encode", content=png(picture), headers=headers) for _ in range(2)
    ]
    assert responses[0].headers["content-type"].startswith("application/x-ndjson")
    seen, *steps, done = lines(responses[0])
    assert (seen["kind"], seen["name"]) == ("seen", "a ü.png")
    np.testing.assert_array_equal(decode(seen["pixels"], "u1", (SIDE, SIDE)), picture)
    assert {step["kind"] for step in steps} == {"step"}
    shares = [step["share"] for step in steps]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] <= 1
    # The best iterate is sent, so the residual never rises.
    residuals = [step["residual"] for step in steps]
    assert residuals == sorted(residuals, reverse=True)
    assert done["kind"] == "done"
    assert done["residual"] == pytest.approx(residuals[-1], rel=1e-3)
    assert errors is not None
    assert done["typical_residual"] == pytest.approx(float(errors.median()))
    # The code of training is not much better.
    assert done["residual"] < 1.5 * float(errors[5]) + 1e-3
    assert len(done["neighbours"]) == 8
    assert isinstance(done["converged"], bool)
    assert done["seconds"] > 0
    assert decode(done["code"]).shape == (4,)
    assert lines(responses[1])[-1]["code"] == done["code"]


def test_the_code_of_the_encoder_comes_first(visit: Visit, amortized: Path) -> None:
    picture, opened = images(20)[5], open_run(amortized)
    seen, first, *steps, done = lines(visit(amortized).post("/api/encode", content=png(picture)))
    assert (seen["kind"], first["kind"], done["kind"]) == ("seen", "encoded", "done")
    assert opened.encoder is not None
    x = torch.from_numpy(picture.astype("float32"))[None, None] / 127.5 - 1
    with torch.no_grad():
        code = opened.encoder(x)
        error = float((opened.decoder(code) - x).square().mean())
    np.testing.assert_allclose(decode(first["code"]), code[0].numpy(), atol=1e-5)
    assert first["residual"] == pytest.approx(error, rel=0.05)
    assert 0 < first["seconds"] < done["seconds"]
    assert done["residual"] <= first["residual"] + 1e-6
    assert {step["kind"] for step in steps} <= {"step", "again"}


def test_a_search_begins_again_for_what_the_encoder_does_not_explain(
    visit: Visit, amortized: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glo.workflows.encode._worst_error", lambda run: 0.0)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    events = lines(visit(amortized).post("/api/encode", content=png(noise)))
    assert [event["kind"] for event in events].count("again") == 1
    last = max(i for i, event in enumerate(events) if event["kind"] == "again")
    shares = [event["share"] for event in events[last + 1 : -1]]
    assert shares == sorted(shares)
    assert events[-1]["kind"] == "done"


def test_a_12_bit_file_has_the_code_of_the_command_line(visit: Visit, tmp_path: Path) -> None:
    deep = images(8).astype(np.uint16) * 16
    assert train(save_data(tmp_path, deep), tmp_path / "run") == 0
    Image.fromarray(deep[3]).save(tmp_path / "a.png")
    command = ["encode", str(tmp_path / "run"), str(tmp_path / "a.png")]
    assert run([*command, "--out", str(tmp_path / "codes.npz")]) == 0
    content = (tmp_path / "a.png").read_bytes()
    seen, *_, done = lines(visit(tmp_path / "run").post("/api/encode", content=content))
    expected = np.rint(deep[3] * (255 / 4095))
    np.testing.assert_array_equal(decode(seen["pixels"], "u1", (SIDE, SIDE)), expected)
    with np.load(tmp_path / "codes.npz") as file:
        np.testing.assert_allclose(decode(done["code"]), file["codes"][0], atol=1e-5)
    bright = visit(tmp_path / "run").post("/api/encode", content=png(deep[3] * 2))
    check_refusal(bright, 400, "4095")


def test_file_of_another_size_and_colour(visit: Visit, labelled: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    seen, *_, done = lines(visit(labelled).post("/api/encode", content=png(pixels)))
    assert decode(seen["pixels"], "u1", (SIDE, SIDE)).std() > 0
    assert done["kind"] == "done"


@pytest.mark.parametrize(
    ("content", "part"),
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
def test_files_without_an_image(visit: Visit, labelled: Path, content: bytes, part: str) -> None:
    response = visit(labelled).post("/api/encode", content=content, headers={"X-Name": "a.png"})
    check_refusal(response, 400, "a.png cannot be used: ", part)


def test_name_is_printed_only(visit: Visit, labelled: Path) -> None:
    headers = {"X-Name": quote("../../etc/passwd\n\0", safe="")}
    response = visit(labelled).post("/api/encode", content=b"x", headers=headers)
    check_refusal(response, 400, "../../etc/passwd\\n\\x00 cannot be used")


def hole(**changes: Any) -> dict[str, Any]:
    """Return a request to fill the first three columns of training image 5."""
    mask = np.ones((SIDE, SIDE), np.uint8)
    mask[:, :3] = 0
    pixels = encode(images(N)[5], "u1")
    return {"pixels": pixels, "mask": encode(mask, "u1"), "n": 3, "seed": 0} | changes


def test_several_solutions_of_a_hole(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    *steps, done = lines(client.post("/api/restore", json=hole()))
    assert steps
    assert all(0 < step["share"] <= 1 for step in steps)
    restored = decode(done["restored"], "u1", (3, SIDE, SIDE))
    np.testing.assert_array_equal(restored[:, :, 3:], np.stack([images(N)[5][:, 3:]] * 3))
    assert done["residuals"] == sorted(done["residuals"])
    codes = decode(done["codes"])
    assert codes.shape == (12,)
    decoded = client.post("/api/decode", content=codes.tobytes()).content
    inside = np.frombuffer(decoded, np.uint8).reshape(3, SIDE, SIDE)[:, :, :3].astype(int)
    assert np.abs(inside - restored[:, :, :3]).max() <= 2


def test_seed_changes_the_solutions(visit: Visit, labelled: Path) -> None:
    first, second, third = (
        lines(visit(labelled).post("/api/restore", json=hole(seed=seed)))[-1]["codes"]
        for seed in (0, 1, 1)
    )
    assert first != second == third


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"mask": encode(np.ones((SIDE, SIDE)), "u1")}, "nothing"),
        ({"mask": encode(np.zeros((SIDE, SIDE)), "u1")}, "everything"),
        ({"mask": encode(np.ones(3), "u1")}, "mask holds 3 bytes"),
        ({"mask": None}, "mask is not base64"),
        ({"pixels": "é"}, "pixels is not base64"),
        ({"pixels": encode(np.ones(65), "u1")}, "pixels holds 65 bytes"),
        ({"n": 9}, "n is 9"),
        ({"n": 0}, "n is 0"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_bad_holes(visit: Visit, labelled: Path, changes: dict[str, Any], part: str) -> None:
    check_refusal(visit(labelled).post("/api/restore", json=hole(**changes)), 400, part)


def test_error_during_a_search_is_a_line(
    visit: Visit, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise UserError("This cannot be searched for.")

    monkeypatch.setattr(streaming_search, "encode", fail)
    response = visit(labelled).post("/api/restore", json=hole())
    assert response.status_code == 200
    assert lines(response) == [{"kind": "error", "error": "This cannot be searched for."}]

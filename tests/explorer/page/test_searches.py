"""Searches: chosen files, painted holes, refusals."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.builders import images
from tests.explorer.page.conftest import REFUSED, Open, centre, served

pytestmark = pytest.mark.slow


def gray(page: Any, selector: str, x: int = 0) -> list[int]:
    """Return the pixels of a canvas of 16 x 16 from column `x` on."""
    script = f"""c => [...c.getContext('2d').getImageData({x}, 0, {16 - x}, 16).data]
      .filter((_, i) => i % 4 === 0)"""
    return list(page.eval_on_selector(selector, script))


def test_a_chosen_file_is_shown_and_can_be_painted_on(
    page: Any, blobs: Any, tmp_path: Path
) -> None:
    page.click("#tab-paint")
    assert page.is_disabled("#paint-dropped")
    page.click("#tab-drop")
    picture = blobs(8, side=16, seed=5).rows[3, :, :, 0]
    Image.fromarray(picture).save(tmp_path / "spot.png")
    page.set_input_files("#file", tmp_path / "spot.png")
    page.wait_for_selector("#drop-result[data-state=done]")
    assert gray(page, "#seen-picture") == picture.reshape(-1).tolist()
    # The picture itself, not what its code decodes to.
    page.click("#tab-paint")
    assert page.inner_text("#paint-name") == "spot.png"
    page.click("#paint-blank")
    page.click("#hand-paint")
    assert page.inner_text("#paint-name") == "spot.png"
    page.click("#paint-blank")
    page.click("#paint-dropped")
    assert page.inner_text("#paint-name") == "spot.png"


def test_the_picture_in_hand_can_be_tried_upside_down(open_page: Open, address: str) -> None:
    page = open_page(f"{address}#drop")
    page.wait_for_selector("#tries button")
    upright = gray(page, "#tries li:nth-child(1) canvas")
    page.click("#tries button:has-text('upside down')")
    page.wait_for_selector("#drop-result[data-state=done]")
    assert "upside down" in page.inner_text("#seen-name")
    turned = gray(page, "#seen-picture")
    np.testing.assert_array_equal(np.reshape(upright, (16, 16))[::-1], np.reshape(turned, (16, 16)))
    # The picture in hand is another one now.
    assert gray(page, "#tries li:nth-child(1) canvas") == turned


def test_a_dropped_file_is_encoded_at_once(
    open_page: Open, amortized: Path, tmp_path: Path
) -> None:
    Image.fromarray(images(20)[3]).save(tmp_path / "one.png")
    with served(amortized) as address:
        page = open_page(f"{address}#drop")
        page.set_input_files("#file", tmp_path / "one.png")
        page.wait_for_selector("#drop-result[data-state=done]")
        assert "encoder" in page.inner_text("#drop-seconds")
        assert "search" in page.inner_text("#drop-seconds")
        # Its requests end before the server.
        page.close()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n half"])
def test_a_broken_file_is_refused(open_page: Open, address: str, content: bytes) -> None:
    page = open_page(f"{address}#drop", allow=REFUSED)
    file = {"name": "broken.png", "mimeType": "image/png", "buffer": content}
    page.set_input_files("#file", file)
    page.wait_for_selector("#drop-result[data-state=failed]")
    assert "broken.png" in page.inner_text("#drop-verdict")
    assert not page.is_visible("#complaint")


def test_several_solutions_of_a_painted_hole(page: Any) -> None:
    page.click("#tab-paint")
    page.click("#paint-go")
    assert "paint a hole" in page.inner_text("#complaint-text")
    x, y = centre(page, "#painting")
    page.mouse.move(x - 90, y - 60)
    page.mouse.down()
    page.mouse.move(x + 80, y + 60, steps=8)
    page.mouse.up()
    assert page.inner_text("#paint-share").endswith("is unknown")
    page.fill("#answers", "3")
    page.click("#paint-go")
    page.wait_for_selector("#restored li")
    assert page.locator("#restored li").count() == 3
    assert "3 answers" in page.inner_text("#restored-text")
    page.click("#restored li:nth-child(2) button")
    assert page.inner_text("#hand-source") == "Restoration 2"


def test_known_pixels_are_unchanged(page: Any) -> None:
    page.click("#tab-paint")
    page.fill("#paint-row", "4")
    page.click("#paint-row-form button")
    page.wait_for_selector("#paint-name:has-text('Training example 4, ')")
    page.click("#paint-shapes [data-shape=left]")
    page.fill("#answers", "1")
    page.click("#paint-go")
    page.wait_for_selector("#restored li canvas")
    restored = gray(page, "#restored canvas", x=8)
    script = "fetch('api/example/4/image').then((r) => r.bytes()).then((b) => [...b])"
    original = np.asarray(Image.open(io.BytesIO(bytes(page.evaluate(script)))))
    assert restored == original[:, 8:].reshape(-1).tolist()


def test_strokes_on_an_empty_sheet_are_completed(page: Any) -> None:
    page.click("#tab-paint")
    page.click("#paint-blank")
    assert page.inner_text("#paint-share") == "100 % is unknown"
    page.mouse.click(*centre(page, "#painting"))
    assert 80 < int(page.inner_text("#paint-share").split()[0]) < 100
    page.click("#paint-go")
    page.wait_for_selector("#restored li")
    page.click("#paint-undo")
    assert page.inner_text("#paint-share") == "100 % is unknown"


def test_painting_with_the_keyboard(page: Any) -> None:
    page.click("#tab-paint")
    page.focus("#painting")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#paint-share") == "no hole yet"
    page.keyboard.press("Space")
    once = page.inner_text("#paint-share")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    assert int(once.split()[0]) < int(page.inner_text("#paint-share").split()[0])
    page.click("#paint-clear")
    assert page.inner_text("#paint-share") == "no hole yet"

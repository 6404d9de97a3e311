"""A picture from outside, and one with a hole: searches that are watched."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.explorer.page.conftest import centre, drawing

# The browser's own word for an answer that is a mistake, which it writes to the console.
REFUSED = ("Failed to load resource",)


def picture_file(blobs: Any, number: int = 3) -> bytes:
    """Return a PNG of a picture that the run has not seen."""
    file = io.BytesIO()
    Image.fromarray(blobs(8, side=16, seed=5).rows[number, :, :, 0]).save(file, "PNG")
    return file.getvalue()


DROP = """([bytes, name]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
  const on = {bubbles: true, cancelable: true, dataTransfer: files};
  document.body.dispatchEvent(new DragEvent('dragenter', on));
  document.body.dispatchEvent(new DragEvent('drop', on));
}"""


def test_a_dropped_file_gets_a_code(page: Any, blobs: Any) -> None:
    page.evaluate(DROP, [list(picture_file(blobs)), "spot one.png"])
    page.wait_for_selector("#drop-result[data-state=done]")
    assert page.get_attribute("#tab-drop", "aria-selected") == "true"
    assert page.inner_text("#seen-name") == "spot one.png"
    assert page.inner_text("#hand-source") == "Code found for spot one.png"
    assert float(page.inner_text("#drop-residual")) < 1
    assert "typical training example" in page.inner_text("#drop-verdict")
    assert page.locator("#drop-curve polyline").count() == 1
    page.wait_for_function("() => document.querySelectorAll('#drop-neighbours li').length === 8")
    assert drawing(page, "#seen-picture") != drawing(page, "#found-picture")


def test_a_chosen_file_is_shown_as_the_decoder_sees_it(page: Any, blobs: Any) -> None:
    page.click("#tab-drop")
    file = {"name": "spot.png", "mimeType": "image/png", "buffer": picture_file(blobs)}
    page.set_input_files("#file", file)
    page.wait_for_selector("#drop-result[data-state=done]")
    script = (
        "c => [...c.getContext('2d').getImageData(0, 0, 16, 16).data].filter((_, i) => i % 4 === 0)"
    )
    seen = page.eval_on_selector("#seen-picture", script)
    assert seen == blobs(8, side=16, seed=5).rows[3].reshape(-1).tolist()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n half"])
def test_a_broken_file_is_refused_with_a_sentence(
    see: Callable[..., Any], address: str, content: bytes
) -> None:
    page = see(address, panel="drop", faults=REFUSED)
    file = {"name": "broken.png", "mimeType": "image/png", "buffer": content}
    page.set_input_files("#file", file)
    page.wait_for_selector("#complaint", state="visible")
    assert page.inner_text("#complaint-text") == page.inner_text("#drop-verdict")
    assert "broken.png" in page.inner_text("#drop-verdict")
    page.click("#complaint-close")
    assert not page.is_visible("#complaint")


def test_a_painted_hole_is_filled_in_several_ways(page: Any) -> None:
    page.click("#tab-paint")
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


def test_what_is_known_stays_as_it_was(page: Any) -> None:
    page.click("#tab-paint")
    page.fill("#paint-row", "4")
    page.click("#paint-row-form button")
    page.wait_for_function("() => document.querySelector('#paint-name').textContent.endsWith('4')")
    page.click("#paint-shapes [data-shape=left]")
    page.fill("#answers", "1")
    page.click("#paint-go")
    page.wait_for_selector("#restored li canvas")
    script = """s => [...document.querySelector(s).getContext('2d')
        .getImageData(8, 0, 8, 16).data].filter((_, i) => i % 4 === 0)"""
    restored = page.evaluate(script, "#restored canvas")
    page.wait_for_timeout(100)
    image = page.evaluate("fetch('api/example/4/image').then((r) => r.arrayBuffer())"
                          ".then((b) => [...new Uint8Array(b)])")  # fmt: skip
    truth = np.asarray(Image.open(io.BytesIO(bytes(image))))[:, 8:]
    assert restored == truth.reshape(-1).tolist()


def test_strokes_on_an_empty_sheet_are_completed(page: Any) -> None:
    page.click("#tab-paint")
    page.click("#paint-blank")
    assert page.inner_text("#paint-share") == "100 % is unknown"
    x, y = centre(page, "#painting")
    page.mouse.click(x, y)
    share = int(page.inner_text("#paint-share").split()[0])
    assert 80 < share < 100
    page.click("#paint-go")
    page.wait_for_selector("#restored li")
    page.click("#paint-undo")
    assert page.inner_text("#paint-share") == "100 % is unknown"


def test_a_hole_is_painted_with_the_keyboard(page: Any) -> None:
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


def test_nothing_to_fill_in_is_said(page: Any) -> None:
    page.click("#tab-paint")
    page.click("#paint-go")
    assert page.inner_text("#complaint-text") == "Nothing is unknown yet: paint a hole first."


def test_the_picture_that_was_dropped_can_be_painted_on(
    page: Any, blobs: Any, tmp_path: Path
) -> None:
    page.click("#tab-paint")
    assert page.is_disabled("#paint-dropped")
    (tmp_path / "mine.png").write_bytes(picture_file(blobs))
    page.click("#tab-drop")
    page.set_input_files("#file", tmp_path / "mine.png")
    page.wait_for_selector("#drop-result[data-state=done]")
    page.click("#tab-paint")
    page.click("#paint-dropped")
    assert page.inner_text("#paint-name") == "mine.png"

"""Default browser tests: dragging on the map, and the search for a dropped file's code."""

import io
from typing import Any

from PIL import Image
from tests.explorer.page.conftest import centre, pixels, wait_for_change

DROP = """([bytes, name]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
  const on = {bubbles: true, cancelable: true, dataTransfer: files};
  document.body.dispatchEvent(new DragEvent('dragenter', on));
  document.body.dispatchEvent(new DragEvent('drop', on));
}"""


def test_dragging_on_the_map_decodes(page: Any) -> None:
    assert page.inner_text("#run-name") == "run"
    assert "60 examples" in page.inner_text("#facts")
    assert page.inner_text("#hand-source").startswith("Training example ")
    assert page.locator("#legend button").count() == 5
    assert "token" not in page.url
    page.evaluate("addEventListener('drawn', () => window.drawn = (window.drawn ?? 0) + 1)")
    x, y = centre(page, "#map")
    before = pixels(page, "#hand-picture")
    page.mouse.move(x - 80, y)
    page.mouse.down()
    for step in range(12):
        page.mouse.move(x - 80 + 14 * step, y + 3 * step)
        page.wait_for_timeout(40)
    assert page.inner_text("#hand-source") == "Between 6 training examples"
    wait_for_change(page, "#hand-picture", before)
    page.mouse.up()
    assert page.evaluate("window.drawn") >= 3
    assert page.inner_text("#rate").endswith("pictures a second")


def test_a_dropped_file_gets_a_code(page: Any, blobs: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(blobs(8, side=16, seed=5).rows[3, :, :, 0]).save(file, "PNG")
    page.evaluate(DROP, [list(file.getvalue()), "spot one.png"])
    page.wait_for_selector("#drop-result[data-state=done]")
    assert page.get_attribute("#tab-drop", "aria-selected") == "true"
    assert page.inner_text("#seen-name") == "spot one.png"
    assert page.inner_text("#hand-source") == "Code found for spot one.png"
    assert float(page.inner_text("#drop-residual")) < 1
    assert "typical training example" in page.inner_text("#drop-verdict")
    assert page.locator("#drop-curve polyline").count() == 1
    page.wait_for_function("() => document.querySelectorAll('#drop-neighbours li').length === 8")
    assert pixels(page, "#seen-picture") != pixels(page, "#found-picture")

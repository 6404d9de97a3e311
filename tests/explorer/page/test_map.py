"""The map: hover, click, keys, filters, zoom, methods, history."""

from typing import Any

import pytest
from tests.explorer.page.conftest import centre, pixels, wait_for_change, wait_until_idle

pytestmark = pytest.mark.slow

HAND = "#hand-picture"
MOVES = """([x, y]) => {
  const map = document.querySelector('#map');
  for (let i = 0; i < 60; i++) map.dispatchEvent(
    new PointerEvent('pointermove', {pointerId: 1, clientX: x + i, clientY: y, bubbles: true}));
}"""


def test_hover_shows_and_click_takes_the_nearest_example(page: Any) -> None:
    x, y = centre(page, "#map")
    page.mouse.move(x + 40, y)
    page.wait_for_selector("#tip", state="visible")
    assert "label " in page.inner_text("#tip-text")
    row = page.inner_text("#tip-text").split("\n")[0].removeprefix("no. ")
    page.mouse.down()
    page.mouse.up()
    assert page.inner_text("#hand-source").startswith(f"Training example {row},")
    page.mouse.move(5, 5)
    page.wait_for_selector("#tip", state="hidden")


def test_of_many_moves_only_the_newest_is_decoded(page: Any) -> None:
    x, y = centre(page, "#map")
    page.mouse.move(x - 60, y)
    page.mouse.down()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.evaluate(MOVES, [x, y])
    page.wait_for_timeout(150)
    page.wait_for_function("() => document.querySelector('#hand-neighbours').ariaBusy === 'false'")
    page.mouse.up()
    # The first at once; after its response only the last of the other 59.
    assert len([url for url in urls if url.endswith("api/decode")]) <= 4


def test_keyboard(page: Any) -> None:
    page.focus("#tab-map")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    before, whole = pixels(page, HAND), pixels(page, "#map")
    page.keyboard.press("+")
    assert pixels(page, "#map") != whole
    page.keyboard.press("0")
    assert pixels(page, "#map") == whole
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#hand-source") == "Between 6 training examples"
    wait_for_change(page, HAND, before)
    page.keyboard.press("Enter")
    assert page.inner_text("#hand-source").startswith("Training example ")
    script = "() => document.querySelector('#said').textContent.startsWith('In hand')"
    page.wait_for_function(script)


def test_the_wheel_zooms_and_shift_moves_the_map(page: Any) -> None:
    x, y = centre(page, "#map")
    whole = pixels(page, "#map")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    wait_for_change(page, "#map", whole)
    near, source = pixels(page, "#map"), page.inner_text("#hand-source")
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert pixels(page, "#map") != near
    assert page.inner_text("#hand-source") == source


def test_the_legend_filters_examples(page: Any) -> None:
    page.click("#legend button:has-text('2')")
    assert page.get_attribute("#legend button:has-text('2')", "aria-pressed") == "true"
    x, y = centre(page, "#map")
    for dx, dy in ((-150, -100), (150, 100), (0, 0)):
        page.mouse.click(x + dx, y + dy)
        assert page.inner_text("#hand-source").endswith(", label 2")
    page.click("#legend button:has-text('All')")
    assert page.get_attribute("#legend button:has-text('2')", "aria-pressed") == "false"


def test_another_method_moves_the_points(page: Any) -> None:
    before = pixels(page, "#map")
    page.check("#methods input[value=tsne]", force=True)
    wait_for_change(page, "#map", before)


def test_back_restores_the_previous_example(page: Any) -> None:
    first = page.inner_text("#hand-source")
    page.click("#hand-neighbours li:nth-child(3) button")
    assert page.inner_text("#hand-source") != first
    page.wait_for_selector("#hand-back:enabled")
    wait_until_idle(page)
    page.click("#hand-back")
    assert page.inner_text("#hand-source") == first


SEPARATE = """async () => {
  const { separate } = await import('/static/scatter.js');
  const boxes = Array.from({length: 10}, (_, i) =>
    ({x: 400 + 3 * (i % 3), y: 300 + 2 * (i % 4), width: 24 + 9 * i, height: 27}));
  separate(boxes);
  return boxes;
}"""


def test_names_do_not_cover_each_other(page: Any) -> None:
    boxes = page.evaluate(SEPARATE)
    for i, one in enumerate(boxes):
        for two in boxes[:i]:
            across = abs(one["x"] - two["x"]) >= (one["width"] + two["width"]) / 2 - 0.01
            down = abs(one["y"] - two["y"]) >= (one["height"] + two["height"]) / 2 - 0.01
            assert across or down
    # They stay near their classes.
    assert all(abs(box["x"] - 400) < 250 and abs(box["y"] - 300) < 250 for box in boxes)

"""The map: look, hover, drag, keys, filters, zoom."""

from typing import Any

from tests.explorer.page.conftest import centre, changed, drawing, recompute_batchnorm_stats

HAND = "#hand-picture"


def test_page_opens_with_the_run_and_an_example_in_hand(page: Any) -> None:
    assert page.inner_text("#run-name") == "run"
    assert "60 examples" in page.inner_text("#facts")
    assert page.inner_text("#hand-source").startswith("Training example ")
    assert page.locator("#legend button").count() == 5
    assert "token" not in page.url


def test_hover_shows_the_nearest_example(page: Any) -> None:
    page.mouse.move(*centre(page, "#map"))
    page.wait_for_selector("#tip", state="visible")
    assert "no. " in page.inner_text("#tip-text")
    assert "label " in page.inner_text("#tip-text")
    page.mouse.move(5, 5)
    page.wait_for_selector("#tip", state="hidden")


def test_a_click_takes_the_example_that_hovering_shows(page: Any) -> None:
    x, y = centre(page, "#map")
    page.mouse.move(x + 40, y)
    page.wait_for_selector("#tip", state="visible")
    row = page.inner_text("#tip-text").split("\n")[0].removeprefix("no. ")
    page.mouse.down()
    page.mouse.up()
    assert page.inner_text("#hand-source").startswith(f"Training example {row},")


def test_dragging_decodes_under_the_pointer(page: Any) -> None:
    page.evaluate("addEventListener('drawn', () => window.drawn = (window.drawn ?? 0) + 1)")
    x, y = centre(page, "#map")
    before = drawing(page, HAND)
    page.mouse.move(x - 80, y)
    page.mouse.down()
    for step in range(12):
        page.mouse.move(x - 80 + 14 * step, y + 3 * step)
        page.wait_for_timeout(40)
    assert page.inner_text("#hand-source") == "Between 6 training examples"
    changed(page, HAND, before)
    page.mouse.up()
    assert page.evaluate("window.drawn") >= 3
    assert page.inner_text("#rate").endswith("pictures a second")


MOVES = """([x, y]) => {
  const map = document.querySelector('#map');
  for (let i = 0; i < 60; i++) map.dispatchEvent(
    new PointerEvent('pointermove', {pointerId: 1, clientX: x + i, clientY: y, bubbles: true}));
}"""


def test_only_the_newest_of_many_codes_is_decoded(page: Any) -> None:
    x, y = centre(page, "#map")
    page.mouse.move(x - 60, y)
    page.mouse.down()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(MOVES, [x, y])
    page.wait_for_timeout(150)
    # The first goes out at once; when it is back, of the 59 others only the last.
    page.wait_for_function("() => document.querySelector('#hand-neighbours').ariaBusy === 'false'")
    page.mouse.up()
    assert len([url for url in asked if url.endswith("api/decode")]) <= 4


def test_the_map_is_used_with_the_keyboard_alone(page: Any) -> None:
    page.focus("#tab-map")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    assert page.evaluate("document.activeElement.id") == "map"
    before = drawing(page, HAND)
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#hand-source") == "Between 6 training examples"
    changed(page, HAND, before)
    page.keyboard.press("Enter")
    assert page.inner_text("#hand-source").startswith("Training example ")
    page.wait_for_function(
        "() => document.querySelector('#said').textContent.startsWith('In hand')"
    )


def test_keys_zoom_and_show_everything_again(page: Any) -> None:
    page.focus("#map")
    whole = drawing(page, "#map")
    page.keyboard.press("+")
    assert drawing(page, "#map") != whole
    page.keyboard.press("0")
    assert drawing(page, "#map") == whole


def test_the_wheel_zooms_and_shift_moves_the_map(page: Any) -> None:
    x, y = centre(page, "#map")
    whole = drawing(page, "#map")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    changed(page, "#map", whole)
    near, source = drawing(page, "#map"), page.inner_text("#hand-source")
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert drawing(page, "#map") != near
    assert page.inner_text("#hand-source") == source


def test_the_legend_filters_what_is_shown_and_found(page: Any) -> None:
    page.click("#legend button:has-text('2')")
    assert page.get_attribute("#legend button:has-text('2')", "aria-pressed") == "true"
    x, y = centre(page, "#map")
    for dx, dy in ((-150, -100), (150, 100), (0, 0)):
        page.mouse.click(x + dx, y + dy)
        assert page.inner_text("#hand-source").endswith(", label 2")
    page.click("#legend button:has-text('All')")
    assert page.get_attribute("#legend button:has-text('2')", "aria-pressed") == "false"


def test_another_method_lays_the_codes_out_anew(page: Any) -> None:
    before = drawing(page, "#map")
    page.check("#methods input[value=tsne]", force=True)
    changed(page, "#map", before)
    assert page.inner_text("#hand-source").startswith("Training example ")


def test_back_takes_up_what_was_in_hand_before(page: Any) -> None:
    first = page.inner_text("#hand-source")
    page.click("#hand-neighbours li:nth-child(3) button")
    second = page.inner_text("#hand-source")
    assert second != first
    page.wait_for_selector("#hand-back:enabled")
    recompute_batchnorm_stats(page)
    page.click("#hand-back")
    assert page.inner_text("#hand-source") == first

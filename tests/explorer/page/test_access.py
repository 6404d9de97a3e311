"""What everyone needs: names, focus, contrast, room on a phone, both themes."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.explorer.page.conftest import recompute_batchnorm_stats
from tests.explorer.page.test_other_runs import PANELS

See = Callable[..., Any]

# Chromium's own words for what a screen reader is told.
NAMELESS = """() => [...document.querySelectorAll(
    'button, input, select, [role=tab], [role=application], canvas[role=img], img, svg[role=img]')]
  .filter((e) => !e.closest('[aria-hidden=true]') && e.checkVisibility())
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()
      || e.alt || e.getAttribute('aria-hidden') || (e.tagName === 'IMG' && e.alt === '')))
  .map((e) => e.outerHTML.slice(0, 120))"""

# Relative luminance and contrast as WCAG 2 defines them, of every text that is visible.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (colour) => { const [r, g, b] = rgba(colour).map((v) => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor; if (rgba(colour)[3] > 250) return colour; }
    return 'white'; };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!own(e) || !e.checkVisibility() || e.disabled) continue;
    if (e.closest('.unseen, .skip, svg, noscript')) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push([contrast.toFixed(2), e.textContent.trim().slice(0, 40)]);
  }
  return found; }"""


@pytest.fixture(params=["light", "dark"])
def themed(request: Any, see: See, address: str) -> Any:
    page = see(address, color_scheme=request.param)
    recompute_batchnorm_stats(page)
    return page


def test_every_control_and_picture_has_a_name(page: Any) -> None:
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(250)
        assert page.evaluate(NAMELESS) == [], panel


def test_text_can_be_read_on_its_ground(themed: Any) -> None:
    for panel in PANELS:
        themed.click(f"#tab-{panel}")
        themed.wait_for_timeout(300)
        assert themed.evaluate(FAINT) == [], panel


def test_ids_are_unique_and_labels_point_somewhere(page: Any) -> None:
    ids = page.eval_on_selector_all("[id]", "all => all.map((e) => e.id)")
    assert len(ids) == len(set(ids))
    names = ("aria-labelledby", "aria-describedby", "aria-controls", "for")
    for name in names:
        told = page.eval_on_selector_all(
            f"[{name}]", f"all => all.map((e) => e.getAttribute('{name}'))"
        )
        assert set(told) <= set(ids), name


def test_tabs_are_reached_with_arrows_and_focus_is_seen(page: Any) -> None:
    page.focus("#tab-map")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-directions"
    assert page.is_visible("#panel-directions")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tab-training"
    assert page.url.endswith("#training")


def test_the_theme_is_switched_and_kept(see: See, address: str) -> None:
    page = see(address, color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.get_attribute("#theme", "aria-label") == "Use the dark theme"
    page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.reload()
    page.wait_for_selector("body.ready")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_phone_shows_everything_without_scrolling_sideways(see: See, address: str) -> None:
    page = see(address, screen={"width": 390, "height": 844}, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    recompute_batchnorm_stats(page)
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(250)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, panel
    assert not page.is_visible("#hand-more")
    page.click("#hand-more-button")
    assert page.is_visible("#hand-npy")
    assert page.get_attribute("#hand-more-button", "aria-expanded") == "true"


def test_fingers_decode_on_the_map(see: See, address: str) -> None:
    page = see(address, has_touch=True)
    recompute_batchnorm_stats(page)
    box = page.locator("#map").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.wait_for_function("() => document.querySelector('#hand-source').textContent.length > 0")
    assert page.evaluate("getComputedStyle(document.querySelector('#map')).touchAction") == "none"

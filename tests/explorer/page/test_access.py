"""Accessibility: names, focus, contrast in both themes, a phone's width, touch."""

from typing import Any

import pytest
from tests.explorer.page.conftest import PANELS, Open, wait_until_idle

pytestmark = pytest.mark.slow

# Controls and pictures without an accessible name.
NAMELESS = """() => [...document.querySelectorAll(
    'button, input, select, [role=tab], [role=application], canvas[role=img], img, svg[role=img]')]
  .filter((e) => !e.closest('[aria-hidden=true]') && e.checkVisibility())
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()
      || e.alt || e.getAttribute('aria-hidden') || (e.tagName === 'IMG' && e.alt === '')))
  .map((e) => e.outerHTML.slice(0, 120))"""

# Relative luminance and contrast as WCAG 2 defines them, of every visible text.
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
  const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!hasText(e) || !e.checkVisibility() || e.disabled) continue;
    if (e.closest('.unseen, .skip, svg, noscript')) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push([contrast.toFixed(2), e.textContent.trim().slice(0, 40)]);
  }
  return faint; }"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_and_contrast(open_page: Open, address: str, theme: str) -> None:
    page = open_page(address, color_scheme=theme)
    wait_until_idle(page)
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(300)
        assert page.evaluate(NAMELESS) == [], panel
        assert page.evaluate(FAINT) == [], panel


def test_ids_are_unique_and_references_resolve(page: Any) -> None:
    ids = page.eval_on_selector_all("[id]", "all => all.map((e) => e.id)")
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
        script = f"all => all.map((e) => e.getAttribute('{name}'))"
        assert set(page.eval_on_selector_all(f"[{name}]", script)) <= set(ids), name


def test_arrow_keys_move_between_tabs(page: Any) -> None:
    page.focus("#tab-map")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-directions"
    assert page.is_visible("#panel-directions")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tab-training"
    assert page.url.endswith("#training")


def test_the_theme_persists(open_page: Open, address: str) -> None:
    page = open_page(address, color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    assert page.get_attribute("#theme", "aria-label") == "Use the dark theme"
    page.click("#theme")
    dark = page.evaluate(colour)
    page.reload()
    page.wait_for_selector("body.ready")
    assert page.evaluate(colour) == dark != light


def test_phone(open_page: Open, address: str) -> None:
    page = open_page(address, screen={"width": 390, "height": 844}, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until_idle(page)
    assert page.evaluate("getComputedStyle(document.querySelector('#map')).touchAction") == "none"
    box = page.locator("#map").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.wait_for_function("() => document.querySelector('#hand-source').textContent.length > 0")
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(250)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, panel
    assert not page.is_visible("#hand-more")
    page.click("#hand-more-button")
    assert page.is_visible("#hand-npy")
    assert page.get_attribute("#hand-more-button", "aria-expanded") == "true"

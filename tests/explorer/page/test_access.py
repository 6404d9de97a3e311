"""Accessibility: the rules of axe-core in both themes, focus, keys, a phone's width, touch."""

from typing import Any

import pytest
from tests.explorer.page.conftest import PANELS, Open, wait_until_idle

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page: Open, address: str, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(address, color_scheme=theme)
    wait_until_idle(page)
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(300)
        found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [
            (rule["id"], [node["html"][:120] for node in rule["nodes"]])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == [], panel


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


def above_tray(page: Any, selector: str) -> bool:
    """Return whether an element ends above the picture in hand, at the bottom of a phone."""
    box, tray = (page.locator(each).bounding_box() for each in (selector, "#hand"))
    return bool(box["y"] + box["height"] <= tray["y"])


def test_what_matters_is_above_the_fold(open_page: Open, address: str) -> None:
    page = open_page(address)
    page.set_viewport_size({"width": 1280, "height": 900})
    # Findings about so small a run lie above all panels.
    page.evaluate("document.querySelector('#diagnosis').hidden = true")
    wait_until_idle(page)
    for panel, selectors in {
        "map": ["#hand-npy", "#map-help"],
        "sample": ["#sample-npy"],
        "between": ["#between-npy"],
        "paint": ["#paint-go", "#restored-text", "#paint-row"],
    }.items():
        page.click(f"#tab-{panel}")
        for selector in selectors:
            box = page.locator(selector).bounding_box()
            assert box["y"] + box["height"] <= 900, selector


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
        # Every tab is in view, and so is the button that matters.
        for each in PANELS:
            box = page.locator(f"#tab-{each}").bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 390, each
        if panel == "paint":
            assert above_tray(page, "#paint-go")
    assert not page.is_visible("#hand-more")
    page.click("#hand-more-button")
    assert page.is_visible("#hand-npy")
    assert page.get_attribute("#hand-more-button", "aria-expanded") == "true"

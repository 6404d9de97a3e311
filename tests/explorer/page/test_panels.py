"""Directions, samples, between two, hardest, training, downloads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.explorer.page.conftest import changed, drawing

HAND = "#hand-picture"


def sheet(page: Any, selector: str) -> list[str]:
    """Wait for a sheet and return what is drawn in each of its frames."""
    page.wait_for_selector(f"{selector}[aria-busy=false] canvas")
    script = "all => all.map((canvas) => canvas.toDataURL())"
    return list(page.eval_on_selector_all(f"{selector} canvas", script))


def draw_samples(page: Any, seed: int) -> list[str]:
    page.fill("#seed", str(seed))
    page.wait_for_function(
        f"() => document.querySelector('#samples').dataset.wish.includes('{seed},')"
    )
    page.wait_for_timeout(100)
    return sheet(page, "#samples")


def test_a_slider_moves_the_picture_in_hand_and_undo_brings_it_back(page: Any) -> None:
    page.click("#tab-directions")
    assert page.locator(".direction").count() == 4
    before = drawing(page, HAND)
    slider = page.locator(".direction input").first
    at = float(slider.input_value())
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight" if at < 0 else "ArrowLeft")
    changed(page, HAND, before)
    assert abs(float(slider.input_value()) - at) == pytest.approx(0.4, abs=0.06)
    assert page.inner_text("#hand-source") == "Moved along principal directions"
    moved = drawing(page, HAND)
    page.click("#directions-reset")
    changed(page, HAND, moved)
    page.wait_for_timeout(300)
    assert drawing(page, HAND) == before


def test_each_strip_shows_where_its_slider_leads(page: Any) -> None:
    page.click("#tab-directions")
    page.wait_for_function("() => document.querySelector('.stops canvas').width === 16")
    strip = page.locator(".direction").first.locator(".stops canvas")
    assert strip.count() == 7
    last = strip.nth(6).evaluate("canvas => canvas.toDataURL()")
    before = drawing(page, HAND)
    strip.nth(6).click()
    changed(page, HAND, before)
    assert drawing(page, HAND) == last


def test_a_seed_gives_the_same_pictures_twice(page: Any) -> None:
    page.click("#tab-sample")
    first = sheet(page, "#samples")
    assert len(first) == 32
    other = draw_samples(page, 7)
    assert other != first
    assert draw_samples(page, 0) == first
    assert draw_samples(page, 7) == other


def test_a_sample_is_taken_in_hand_and_a_label_is_kept(page: Any) -> None:
    page.click("#tab-sample")
    first = sheet(page, "#samples")
    page.select_option("#label", "1")
    page.wait_for_function(
        "() => document.querySelector('#samples').dataset.wish.includes('label\":1')"
    )
    page.wait_for_function("() => document.querySelector('#samples').ariaBusy === 'false'")
    pictures = sheet(page, "#samples")
    assert pictures != first
    page.click("#samples li:nth-child(4) button")
    assert page.inner_text("#hand-source").startswith("Sample 3 of seed 0, ")
    assert page.inner_text("#hand-source").endswith("label 1")
    page.wait_for_timeout(400)
    assert drawing(page, HAND) == pictures[3]


def test_a_walk_begins_at_a_and_ends_at_b(page: Any) -> None:
    page.click("#hand-neighbours li:nth-child(2) button")
    page.click("#hand-a")
    a = page.inner_text("#hand-source")
    page.click("#hand-neighbours li:nth-child(8) button")
    page.wait_for_timeout(400)
    page.click("#hand-b")
    b, last = page.inner_text("#hand-source"), drawing(page, HAND)
    page.click("#tab-between")
    page.wait_for_selector("#between-strip li")
    assert page.inner_text("#between-a-name") == a
    assert page.inner_text("#between-b-name") == b
    page.focus("#between-at")
    page.keyboard.press("End")
    assert page.inner_text("#between-share") == "100 %"
    assert drawing(page, "#between-picture") == last
    page.keyboard.press("Home")
    assert drawing(page, "#between-picture") == drawing(page, "#between-a-picture")
    middle = drawing(page, "#between-strip li:nth-child(5) canvas")
    page.check("input[value=sphere]", force=True)
    changed(page, "#between-strip li:nth-child(5) canvas", middle)


def test_between_begins_with_two_examples_and_plays(page: Any) -> None:
    page.click("#tab-between")
    page.wait_for_selector("#between-strip li")
    share = page.inner_text("#between-share")
    page.click("#between-play")
    page.wait_for_function(
        f"() => document.querySelector('#between-share').textContent !== '{share}'"
    )
    page.click("#between-play")
    assert page.inner_text("#between-play") == "Play"


def test_the_hardest_examples_are_listed_largest_first(page: Any) -> None:
    page.click("#tab-worst")
    page.wait_for_selector("#worst-rows tr")
    errors = page.eval_on_selector_all("#worst-rows meter", "all => all.map((m) => m.value)")
    assert len(errors) == 60
    assert errors == sorted(errors, reverse=True)
    page.wait_for_function("() => document.querySelector('#worst-rows img').naturalWidth === 16")
    row = page.inner_text("#worst-rows button >> nth=0")
    page.click("#worst-rows button >> nth=0")
    assert page.inner_text("#hand-source").startswith(f"Training example {row},")


def test_training_is_drawn(page: Any) -> None:
    page.click("#tab-training")
    assert page.inner_text("#progress-text") == "Training is over after 4 epochs."
    assert page.locator("#chart-explained polyline").count() == 1
    page.wait_for_function("() => document.querySelector('#epoch-picture').naturalWidth > 16")
    page.focus("#epoch-at")
    page.keyboard.press("Home")
    assert page.inner_text("#epoch-name") == "Epoch 1"


def test_picture_and_code_are_downloaded(page: Any, tmp_path: Path, run: Path) -> None:
    saved = {}
    for name in ("png", "json", "npy"):
        with page.expect_download() as download:
            page.click(f"#hand-{name}")
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    with Image.open(saved["png"]) as picture:
        assert picture.size == (16, 16)
    code = np.load(saved["npy"], allow_pickle=False)
    assert code.shape == (1, 4)
    assert code.dtype == np.float32
    values = json.loads(saved["json"].read_text())
    assert values["code"] == pytest.approx(code[0].tolist())
    assert values["run"] == "run"
    assert saved["npy"].stem == values["source"].split(",")[0].replace("Training ", "").replace(
        " ", "-"
    )

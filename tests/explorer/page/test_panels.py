"""Panels: directions, samples, interpolation, largest errors, training; downloads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.explorer.page.conftest import pixels, wait_for_change

pytestmark = pytest.mark.slow

HAND = "#hand-picture"
FALLING_ANOMALY = """() => {
  const scores = [...document.querySelectorAll('#worst-rows td:nth-last-child(2)')]
    .map((cell) => Number(cell.textContent));
  return scores.length === 60 && scores.every((score, i) => i === 0 || score <= scores[i - 1]);
}"""
BRIGHTEST = """(canvas) => Math.max(...canvas.getContext('2d')
  .getImageData(0, 0, 16, 16).data.filter((_, i) => i % 4 === 0))"""


def sample_sheet(page: Any, request: str = "") -> list[str]:
    """Return the content of each sample, once `request` is part of the sheet's request."""
    page.wait_for_function(
        "part => document.querySelector('#samples').dataset.wish?.includes(part)", arg=request
    )
    page.wait_for_timeout(100)
    page.wait_for_selector("#samples[aria-busy=false] canvas")
    script = "all => all.map((canvas) => canvas.toDataURL())"
    return list(page.eval_on_selector_all("#samples canvas", script))


def test_directions(page: Any) -> None:
    page.click("#tab-directions")
    assert page.locator(".direction").count() == 4
    before = pixels(page, HAND)
    slider = page.locator(".direction input").first
    start = float(slider.input_value())
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight" if start < 0 else "ArrowLeft")
    wait_for_change(page, HAND, before)
    assert abs(float(slider.input_value()) - start) == pytest.approx(0.4, abs=0.06)
    assert page.inner_text("#hand-source") == "Moved along principal directions"
    moved = pixels(page, HAND)
    page.click("#directions-reset")
    wait_for_change(page, HAND, moved)
    page.wait_for_timeout(300)
    assert pixels(page, HAND) == before
    # A strip shows the pictures along its slider.
    page.wait_for_function("() => document.querySelector('.stops canvas').width === 16")
    strip = page.locator(".direction").first.locator(".stops canvas")
    assert strip.count() == 7
    last = strip.nth(6).evaluate("canvas => canvas.toDataURL()")
    strip.nth(6).click()
    wait_for_change(page, HAND, before)
    assert pixels(page, HAND) == last


def test_samples(page: Any) -> None:
    page.click("#tab-sample")
    first = sample_sheet(page)
    assert len(first) == 32
    page.fill("#seed", "7")
    assert sample_sheet(page, "7,") != first
    page.fill("#seed", "0")
    assert sample_sheet(page, "0,") == first
    page.select_option("#label", "1")
    labelled = sample_sheet(page, 'label":1')
    assert labelled != first
    page.click("#samples li:nth-child(4) button")
    assert page.inner_text("#hand-source").startswith("Sample 3 of seed 0, ")
    assert page.inner_text("#hand-source").endswith("label 1")
    page.wait_for_timeout(400)
    assert pixels(page, HAND) == labelled[3]


def test_interpolation_between_two_chosen_codes(page: Any) -> None:
    page.click("#hand-neighbours li:nth-child(2) button")
    page.click("#hand-a")
    a = page.inner_text("#hand-source")
    page.click("#hand-neighbours li:nth-child(8) button")
    page.wait_for_timeout(400)
    page.click("#hand-b")
    b, last = page.inner_text("#hand-source"), pixels(page, HAND)
    page.click("#tab-between")
    page.wait_for_selector("#between-strip li")
    assert page.inner_text("#between-a-name") == a
    assert page.inner_text("#between-b-name") == b
    page.focus("#between-at")
    page.keyboard.press("End")
    assert page.inner_text("#between-share") == "100 %"
    assert pixels(page, "#between-picture") == last
    page.keyboard.press("Home")
    assert pixels(page, "#between-picture") == pixels(page, "#between-a-picture")
    middle = pixels(page, "#between-strip li:nth-child(5) canvas")
    page.check("input[value=sphere]", force=True)
    wait_for_change(page, "#between-strip li:nth-child(5) canvas", middle)


def test_interpolation_begins_with_two_examples_and_plays(page: Any) -> None:
    page.click("#tab-between")
    page.wait_for_selector("#between-strip li")
    share = page.inner_text("#between-share")
    page.click("#between-play")
    script = "old => document.querySelector('#between-share').textContent !== old"
    page.wait_for_function(script, arg=share)
    page.click("#between-play")
    assert page.inner_text("#between-play") == "Play"


def test_largest_errors(page: Any) -> None:
    page.click("#tab-worst")
    page.wait_for_selector("#worst-rows tr")
    errors = page.eval_on_selector_all("#worst-rows meter", "all => all.map((m) => m.value)")
    assert len(errors) == 60
    assert errors == sorted(errors, reverse=True)
    page.wait_for_function("() => document.querySelector('#worst-rows img').naturalWidth === 16")
    page.wait_for_function("() => document.querySelector('#worst-rows .error').width === 16")
    # No error has 13.
    assert page.eval_on_selector("#worst-rows .error", BRIGHTEST) > 30
    row = page.inner_text("#worst-rows button >> nth=0")
    page.click("#worst-rows button >> nth=0")
    page.wait_for_selector(f"#hand-source:has-text('Training example {row},')")
    page.check("#worst-order [value=anomaly]", force=True)
    page.wait_for_function(FALLING_ANOMALY)
    page.click("#worst-select")
    assert page.is_visible("#panel-map")
    assert page.inner_text("#selected-count") == "60 selected"


def test_training(page: Any) -> None:
    page.click("#tab-training")
    assert page.inner_text("#progress-text") == "Training is over after 4 epochs."
    assert page.locator("#chart-explained polyline").count() == 1
    page.wait_for_function("() => document.querySelector('#epoch-picture').naturalWidth > 16")
    page.focus("#epoch-at")
    page.keyboard.press("Home")
    assert page.inner_text("#epoch-name") == "Epoch 1"


def test_downloads(page: Any, tmp_path: Path) -> None:
    saved = {}
    for name in ("png", "json", "npy"):
        with page.expect_download() as download:
            page.click(f"#hand-{name}")
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    with Image.open(saved["png"]) as picture:
        assert picture.size == (16, 16)
    code = np.load(saved["npy"], allow_pickle=False)
    assert (code.shape, code.dtype) == ((1, 4), np.float32)
    values = json.loads(saved["json"].read_text())
    assert values["code"] == pytest.approx(code[0].tolist())
    assert values["run"] == "run"
    source = values["source"].split(",")[0].removeprefix("Training ")
    assert saved["npy"].stem == source.replace(" ", "-")

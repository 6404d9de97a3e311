"""Pages of incomplete runs; stopped servers, several tabs, a missing token."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.explorer.page.conftest import (
    PANELS,
    REFUSED,
    STOPPED,
    Open,
    centre,
    pixels,
    served,
    wait_for_change,
    wait_until_idle,
)

pytestmark = pytest.mark.slow


def visit_panels(page: Any, **empty: str) -> None:
    """Open every panel; `empty` are words of the notes on panels without a function."""
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(250)
        assert page.is_visible(f"#panel-{panel}")
        if panel in empty:
            assert empty[panel] in page.inner_text(f"#panel-{panel} .empty:visible")


def test_run_without_labels_and_data(open_page: Open, bare: Path) -> None:
    with served(bare) as address:
        page = open_page(address, allow=REFUSED)
        wait_until_idle(page)
        assert not page.is_visible("#legend")
        assert not page.is_visible("#label-field")
        assert "," not in page.inner_text("#hand-source")
        before = pixels(page, "#map")
        page.check("#methods input[value=tsne]", force=True)
        wait_for_change(page, "#map", before)
        page.focus("#map")
        page.keyboard.press("a")
        # Without data the table shows what the codes decode to.
        page.wait_for_selector("#selected-rows canvas")
        page.wait_for_function(
            "() => document.querySelector('#selected-rows canvas').width !== 300"
        )
        assert not page.is_visible("#selected-error-head")
        visit_panels(page)


def test_run_of_one_example(open_page: Open, single: Path) -> None:
    with served(single) as address:
        page = open_page(address)
        page.wait_for_selector("#hand-source:has-text('Training example 0')")
        assert page.is_visible("#map-empty")
        visit_panels(page, **dict.fromkeys(("sample", "drop", "paint"), "one example"))
        assert not page.is_visible("#complaint")


def test_run_of_vectors(open_page: Open, table: Path) -> None:
    with served(table) as address:
        page = open_page(address)
        wait_until_idle(page)
        before = pixels(page, "#hand-picture")
        x, y = centre(page, "#map")
        page.mouse.click(x - 60, y + 40)
        wait_for_change(page, "#hand-picture", before)
        visit_panels(page, drop="vectors", paint="vectors")
        assert not page.is_visible("#complaint")


def test_run_in_training(open_page: Open, stopped: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    with served(run) as address:
        page = open_page(address)
        wait_until_idle(page)
        assert "still in training" in page.inner_text("#notice")
        visit_panels(page, sample="when training is over")
        assert not page.is_visible("#complaint")
        assert "of 4 epochs are done" in page.inner_text("#progress-text")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        record = {**json.loads(lines[-1]), "kind": "epoch", "epoch": 2}
        (run / "metrics.jsonl").write_text("\n".join([*lines, json.dumps(record)]) + "\n")
        page.wait_for_selector("#progress-text:has-text('2 of 4')")


def test_run_without_a_checkpoint(open_page: Open, run: Path, tmp_path: Path) -> None:
    for name in ("config.toml", "metrics.jsonl"):
        shutil.copy(run / name, tmp_path)
    with served(tmp_path) as address:
        page = open_page(address)
        page.wait_for_selector("#progress-text:has-text('no codes')")
        assert page.locator("[role=tab]:visible").all_inner_texts() == ["Training"]
        assert not page.is_visible("#hand")


def test_stopped_server(open_page: Open, run: Path) -> None:
    with served(run) as address:
        page = open_page(address, allow=STOPPED)
        wait_until_idle(page)
    page.mouse.click(*centre(page, "#map"))
    page.wait_for_selector("#gone", state="visible")
    assert "glo explore" in page.inner_text("#gone")


def test_two_tabs_are_independent(open_page: Open, address: str) -> None:
    one = open_page(address)
    wait_until_idle(one)
    two = one.context.new_page()
    # With the cookie of the first tab.
    two.goto(one.url)
    two.wait_for_selector("body.ready")
    wait_until_idle(two)
    source, picture = one.inner_text("#hand-source"), pixels(one, "#hand-picture")
    before = pixels(two, "#hand-picture")
    x, y = centre(two, "#map")
    two.mouse.click(x - 90, y - 50)
    wait_for_change(two, "#hand-picture", before)
    one.click("#tab-sample")
    one.wait_for_selector("#samples[aria-busy=false] canvas")
    assert one.inner_text("#hand-source") == source
    assert pixels(one, "#hand-picture") == picture


def test_no_page_without_the_token(browser: Any, address: str) -> None:
    page = browser.new_page()
    assert page.goto(address.split("?")[0]).status == 403
    assert page.locator("script").count() == 0
    page.close()

"""The selection: lasso, box, keys, its table, its files, and the commands that read them."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.explorer.page.conftest import Open, centre, pixels, wait_for_change, wait_until_idle

from glo.cli.app import run as command
from glo.runs.run import open_run


def select(page: Any, tool: str, *corners: tuple[float, float]) -> None:
    """Draw with a tool through corners, from 0 to 1 from the left and the top of the map.

    The first one must not lie below the tools at the top left.
    """
    page.check(f"#map-tools [value={tool}]", force=True)
    box = page.locator("#map").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def selected(page: Any) -> list[int]:
    """Return the rows of the table, once it shows the selection."""
    script = """() => document.querySelectorAll('#selected-rows tr').length ===
      parseInt(document.querySelector('#selected-count').textContent)"""
    page.wait_for_function(script)
    numbers = page.locator("#selected-rows th").all_inner_texts()
    return [int(number) for number in numbers]


def save(page: Any, form: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(f"#selected-{form}")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_lasso_is_exported_and_read_by_the_commands(page: Any, run: Path, tmp_path: Path) -> None:
    source = page.inner_text("#hand-source")
    select(page, "lasso", (0.1, 0.95), (0.45, 0.95), (0.5, 0.5), (0.55, 0.01), (0.1, 0.01))
    rows, opened = selected(page), open_run(run)
    assert 1 < len(rows) < 60
    assert page.inner_text("#hand-source") == source
    assert opened.errors is not None
    errors = opened.errors[rows]
    assert errors.tolist() == sorted(errors.tolist(), reverse=True)
    listed, table = save(page, "list", tmp_path), save(page, "csv", tmp_path)
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == sorted(rows)
    for line in lines:
        error = opened.errors[int(line["row"])]
        share = 100 * float((opened.errors <= error).float().mean())
        assert float(line["error"]) == pytest.approx(float(error))
        assert float(line["percentile"]) == pytest.approx(share, rel=1e-5)
    copy, out = shutil.copytree(run, tmp_path / "copy"), tmp_path / "walk.csv"
    assert command(["walk", str(copy), "--rows", str(listed), "--out", str(out)]) == 0
    codes = tmp_path / "codes.csv"
    assert command(["export", str(copy), "--rows", str(listed), "--codes", str(codes)]) == 0
    with codes.open(newline="") as file:
        assert [int(line["row"]) for line in csv.DictReader(file)] == sorted(rows)
    assert command(["forget", "--yes", str(copy), str(listed)]) == 0
    remaining = [row for row in range(60) if row not in rows]
    assert open_run(copy).codes.equal(opened.codes[remaining])


@pytest.mark.slow
def test_boxes_add_and_remove(page: Any) -> None:
    left, right = ((0.03, 0.99), (0.5, 0.01)), ((0.5, 0.99), (0.99, 0.01))
    whole = pixels(page, "#map")
    select(page, "box", *left)
    first = set(selected(page))
    assert pixels(page, "#map") != whole
    page.select_option("#select-how", "add")
    select(page, "box", *right)
    assert len(selected(page)) == 60
    page.select_option("#select-how", "remove")
    select(page, "box", *left)
    assert set(selected(page)) == {*range(60)} - first
    page.keyboard.down("Shift")
    select(page, "box", *left)
    page.keyboard.up("Shift")
    assert len(selected(page)) == 60
    page.click("#selected-clear")
    assert not page.is_visible("#selected")
    assert pixels(page, "#map") == whole


@pytest.mark.slow
def test_a_selection_outlives_layouts_and_tabs_until_escape(page: Any) -> None:
    select(page, "box", (0.03, 0.99), (0.5, 0.01))
    rows, before = selected(page), pixels(page, "#map")
    page.check("#methods input[value=tsne]", force=True)
    wait_for_change(page, "#map", before)
    page.click("#tab-sample")
    page.click("#tab-map")
    assert selected(page) == rows
    lit = pixels(page, "#map")
    page.keyboard.press("Escape")
    assert not page.is_visible("#selected")
    wait_for_change(page, "#map", lit)


@pytest.mark.slow
def test_escape_ends_an_outline_first(page: Any) -> None:
    select(page, "box", (0.03, 0.99), (0.5, 0.01))
    rows = selected(page)
    x, y = centre(page, "#map")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 50, steps=3)
    page.keyboard.press("Escape")
    page.mouse.move(x + 150, y + 90, steps=3)
    page.mouse.up()
    assert selected(page) == rows
    assert page.get_attribute("#map-outline", "points") == ""


@pytest.mark.slow
def test_keys_select(page: Any) -> None:
    page.focus("#map")
    page.keyboard.press("a")
    assert len(selected(page)) == 60
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    assert page.is_checked("#map-tools [value=box]")
    source = page.inner_text("#hand-source")
    page.keyboard.press("Space")
    for key in ("ArrowRight", "ArrowDown") * 4:
        page.keyboard.press(f"Shift+{key}")
    page.keyboard.press("Space")
    assert 0 < len(selected(page)) < 60
    assert page.inner_text("#hand-source") == source
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    wait_until_idle(page)
    row = int(page.inner_text("#hand-source").split(",")[0].split()[-1])
    page.keyboard.press("l")
    page.keyboard.press("Enter")
    assert selected(page) == [row]


@pytest.mark.slow
def test_the_table_sorts_takes_in_hand_and_removes(page: Any) -> None:
    page.focus("#map")
    page.keyboard.press("a")
    selected(page)
    page.click("#selected-table [data-key=row]")
    assert selected(page) == [*range(60)]
    page.click("#selected-table [data-key=row]")
    assert selected(page) == [*range(59, -1, -1)]
    assert page.get_attribute("#selected-table th:nth-child(2)", "aria-sort") == "descending"
    page.wait_for_function("() => document.querySelector('#selected-rows img').naturalWidth === 16")
    page.click("#selected-rows th button >> nth=3")
    page.wait_for_selector("#hand-source:has-text('Training example 56')")
    page.click("#selected-rows tr:nth-child(2) td:last-child button")
    assert selected(page) == [59, *range(57, -1, -1)]


@pytest.mark.slow
def test_the_legend_limits_what_is_selected(page: Any) -> None:
    page.click("#legend button:has-text('2')")
    select(page, "box", (0.03, 0.99), (0.99, 0.01))
    assert selected(page)
    assert set(page.locator("#selected-rows .labelled").all_inner_texts()) == {"2"}


@pytest.mark.slow
def test_touch_selects(open_page: Open, address: str) -> None:
    page = open_page(address, has_touch=True, screen={"width": 390, "height": 844})
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until_idle(page)
    page.check("#map-tools [value=lasso]", force=True)
    box = page.locator("#map").bounding_box()
    session = page.context.new_cdp_session(page)
    corners = [(0.05, 0.2), (0.95, 0.2), (0.95, 0.95), (0.05, 0.95)]
    for kind, (x, y) in zip(("touchStart", *("touchMove",) * 3), corners, strict=True):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert len(selected(page)) > 30
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

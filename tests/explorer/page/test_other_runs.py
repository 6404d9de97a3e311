"""Runs that lack something, and servers and tabs that come and go."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.builders import at_step, save_data, train_until
from tests.explorer.page.conftest import centre, changed, drawing, recompute_batchnorm_stats, served

See = Callable[..., Any]
GONE = ("ERR_CONNECTION_REFUSED", "Failed to load resource", "ERR_EMPTY_RESPONSE")
PANELS = ["map", "directions", "sample", "between", "drop", "paint", "worst", "training"]


def visit(page: Any) -> None:
    """Open every panel; what is wrong there comes out as a word to the console."""
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_timeout(250)
        assert page.is_visible(f"#panel-{panel}")
        assert not page.is_visible("#complaint")


def test_a_run_without_labels(see: See, train_run: Callable[..., Path]) -> None:
    with served(train_run(n=24, labels=False)) as address:
        page = see(address)
        recompute_batchnorm_stats(page)
        assert not page.is_visible("#legend")
        assert not page.is_visible("#label-field")
        assert "," not in page.inner_text("#hand-source")
        visit(page)
        assert page.locator("#worst-label-head").is_hidden()


def test_a_run_with_one_example(see: See, train_run: Callable[..., Path]) -> None:
    with served(train_run(n=1, labels=False)) as address:
        page = see(address)
        page.wait_for_selector("#hand-source:has-text('Training example 0')")
        assert page.is_visible("#map-empty")
        visit(page)
        for panel in ("sample", "drop", "paint"):
            page.click(f"#tab-{panel}")
            assert "one example" in page.inner_text(f"#panel-{panel} .empty:visible")


def test_a_run_of_vectors_is_drawn_as_lines(see: See, train_run: Callable[..., Path]) -> None:
    with served(train_run(n=24, vectors=True)) as address:
        page = see(address)
        recompute_batchnorm_stats(page)
        before = drawing(page, "#hand-picture")
        x, y = centre(page, "#map")
        page.mouse.click(x - 60, y + 40)
        changed(page, "#hand-picture", before)
        visit(page)
        for panel in ("drop", "paint"):
            page.click(f"#tab-{panel}")
            assert "vectors" in page.inner_text(f"#panel-{panel} .empty:visible")


def test_a_run_in_training_shows_what_there_is(see: See, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    assert train_until(monkeypatch, at_step(5), save_data(tmp_path), run) == 130
    with served(run) as address:
        page = see(address)
        recompute_batchnorm_stats(page)
        assert "still in training" in page.inner_text("#notice")
        visit(page)
        assert "of 4 epochs are done" in page.inner_text("#progress-text")
        page.click("#tab-sample")
        assert "when training is over" in page.inner_text("#panel-sample .empty:visible")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        record = {**json.loads(lines[-1]), "kind": "epoch", "epoch": 2}
        (run / "metrics.jsonl").write_text("\n".join([*lines, json.dumps(record)]) + "\n")
        page.click("#tab-training")
        page.wait_for_selector("#progress-text:has-text('2 of 4')")


def test_a_run_without_a_checkpoint_has_only_its_curves(
    see: See, run: Path, tmp_path: Path
) -> None:
    young = tmp_path / "young"
    young.mkdir()
    for name in ("config.toml", "metrics.jsonl"):
        shutil.copy(run / name, young)
    with served(young) as address:
        page = see(address)
        page.wait_for_selector("#progress-text:has-text('no codes')")
        assert page.locator("[role=tab]:visible").all_inner_texts() == ["Training"]
        assert not page.is_visible("#hand")


def test_a_server_that_is_gone_is_noticed(see: See, run: Path) -> None:
    with served(run) as address:
        page = see(address, faults=GONE)
        recompute_batchnorm_stats(page)
    page.mouse.click(*centre(page, "#map"))
    page.wait_for_selector("#gone", state="visible")
    assert "glo explore" in page.inner_text("#gone")


def test_two_tabs_do_not_disturb_each_other(see: See, address: str) -> None:
    one = see(address)
    recompute_batchnorm_stats(one)
    two = one.context.new_page()
    # The cookie of the first tab lets the second in.
    two.goto(one.url)
    two.wait_for_selector("body.ready")
    recompute_batchnorm_stats(two)
    source, picture = one.inner_text("#hand-source"), drawing(one, "#hand-picture")
    before = drawing(two, "#hand-picture")
    x, y = centre(two, "#map")
    two.mouse.click(x - 90, y - 50)
    changed(two, "#hand-picture", before)
    one.click("#tab-sample")
    one.wait_for_selector("#samples[aria-busy=false] canvas")
    assert one.inner_text("#hand-source") == source
    assert drawing(one, "#hand-picture") == picture


def test_without_the_token_there_is_no_page(browser: Any, address: str) -> None:
    page = browser.new_page()
    answer = page.goto(address.split("?")[0])
    assert answer.status == 403
    assert page.locator("script").count() == 0
    page.close()

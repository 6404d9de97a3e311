"""The page: whole, closed to the network, safe from names, the same for the same run."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.builders import cut, finish, images
from tests.report.conftest import NAMES, QUICK, labelled, read

from glo.data import Dataset
from glo.errors import UserError
from glo.report import make_report, write_report
from glo.runs.run import Run, open_run

PAPER = "https://arxiv.org/abs/1707.05776"


@pytest.fixture(scope="module")
def text(pictures: Run) -> str:
    return make_report(pictures, labelled())


@pytest.fixture(scope="module")
def texts(
    text: str, pictures: Run, table: tuple[Run, Dataset], single: tuple[Run, Dataset], begun: Run
) -> dict[str, str]:
    return {
        "images": text,
        "no data": make_report(pictures, None, missing_data="They are gone."),
        "vectors": make_report(table[0], table[0].standardize(table[1])),
        "vectors, no data": make_report(table[0], None, missing_data="They are gone."),
        "one": make_report(*single),
        "begun": make_report(begun, labelled()),
        "begun, no data": make_report(begun, None, missing_data="They are gone."),
    }


def test_pages_are_whole_html(texts: dict[str, str]) -> None:
    for kind, page_text in texts.items():
        page = read(page_text)
        assert page_text.startswith("<!DOCTYPE html>"), kind
        assert page.faults == [], kind
        assert len(page.ids()) == len(set(page.ids())), kind
        assert len(page.all("h1")) == 1, kind
        assert page.all("html") == [{"lang": "en"}], kind
        inside = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("#")]
        assert {f"#{name}" for name in page.ids()} >= set(inside), kind
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', page_text)
        assert set(used) <= set(page.ids()), kind


def test_pages_ask_nothing_of_other_addresses(texts: dict[str, str]) -> None:
    for kind, page_text in texts.items():
        assert set(re.findall(r"https?://[^\"'\s<)]+", page_text)) == {PAPER}, kind
        page = read(page_text)
        assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "base"}, kind
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes), (kind, tag)
            source = attributes.get("src") or attributes.get("xlink:href") or "data:"
            assert source.startswith(("data:image/", "data:", "#")), (kind, tag)
        assert [link["href"] for link in page.all("link")] == ["data:,"], kind
        assert "@import" not in page_text, kind


def test_every_section_holds_something(texts: dict[str, str]) -> None:
    for kind, page_text in texts.items():
        sections = re.findall(r"<section.*?</section>", page_text, flags=re.S)
        assert len(sections) >= 4, kind
        for section in sections:
            assert re.search(r"<(p|figure|table|pre)\b", section), (kind, section[:80])


def test_names_are_text_not_markup(text: str, pictures: Run) -> None:
    page = read(text)
    assert "<script" not in text
    assert "<b>run&" in page.text
    assert "<i>noise</i>" in page.text
    for name in NAMES:
        assert name in page.text, "the legend has every label"
    shown = " ".join(each.get("aria-label") or "" for each in page.all("svg"))
    assert NAMES[0] in shown


def test_the_same_run_gives_the_same_bytes(text: str, pictures: Run) -> None:
    assert make_report(open_run(pictures.folder), labelled()) == text


def test_figures_and_pictures_of_a_finished_run(text: str, pictures: Run) -> None:
    page, summary = read(text), pictures.summary
    assert summary is not None
    assert f"{100 * summary['explained_variance']:.1f} %" in page.text
    assert f"{summary['mse']:.4f}" in page.text
    for sentence in summary["diagnosis"] or ["Nothing was found wrong."]:
        assert sentence in page.text
    for title in ("Reconstructions", "from best to worst", "Samples", "Interpolations",
                  "Principal directions", "Nearest training examples", "Map of the codes",
                  "Training", "How it was made"):  # fmt: skip
        assert title in page.text, title
    assert all(image["alt"] and image["width"] for image in page.all("img"))
    assert all(each["aria-label"] for each in page.all("svg"))
    assert "mixture, the prior of this run" in page.text
    assert "gaussian" in page.text
    assert "Evaluation" not in page.text, "glo evaluate did not run"


def test_plots_take_the_colours_of_the_page(text: str) -> None:
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.S)
    assert drawn
    assert all("var(--line)" in each for each in drawn)
    assert "var(--ink)" in text
    assert "#0000f" not in text, "no made-up colour is left"
    assert "prefers-color-scheme: dark" in text


def test_a_run_without_labels(texts: dict[str, str], single: tuple[Run, Dataset]) -> None:
    page = read(texts["vectors"])
    assert "There are no labels to color them by." in page.text
    assert "Linear discriminants" not in page.text


def test_one_example_has_no_space_to_walk_in(texts: dict[str, str]) -> None:
    page = read(texts["one"])
    assert "The only example" in page.text
    for title in ("Samples", "Interpolations", "Principal directions", "Map of the codes"):
        assert title not in page.text, title


def test_vectors_are_drawn_as_lines(texts: dict[str, str]) -> None:
    page = read(texts["vectors"])
    assert page.all("img") == []
    assert "Errors of the columns" in page.text
    assert "Samples" in page.text
    assert "Interpolations" not in page.text
    assert "Errors of the columns" not in read(texts["vectors, no data"]).text


def test_a_run_that_is_not_finished(texts: dict[str, str]) -> None:
    page = read(texts["begun"])
    assert "This run is not finished: it is at step 2." in page.text
    assert "Reconstructions" in page.text
    assert "Samples" not in page.text
    assert "No epoch is over yet" in page.text


def test_without_its_data_a_page_says_so(pictures: Run, tmp_path: Path) -> None:
    page = read(write_report(pictures, tmp_path / "new" / "page.html").read_text("utf-8"))
    assert "The training data of" in page.text
    assert "reconstructions alone, sorted by their error" in page.text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_without_data_and_errors_the_order_is_that_of_the_data(begun: Run) -> None:
    page = read(make_report(begun, None, missing_data="They are gone."))
    assert "They are gone. So these are reconstructions alone, in the order" in page.text


def test_other_data_are_refused(pictures: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", images(20, seed=5))
    with pytest.raises(UserError, match=r"not the data that .*: glo report"):
        write_report(pictures, tmp_path / "page.html", data=tmp_path / "other.npy")
    assert not (tmp_path / "page.html").exists()


def test_the_evaluation_is_shown_where_there_is_one(pictures: Run, tmp_path: Path) -> None:
    shutil.copytree(pictures.folder, tmp_path / "run")
    path = tmp_path / "run" / "evaluation.json"
    values = {"training": {"n": 9, "mse": 0.12345}, "heldout": None, "notes": ["<b>Note</b>"]}
    path.write_text(json.dumps(values))
    page = read(make_report(open_run(tmp_path / "run"), None, missing_data="They are gone."))
    assert page.faults == []
    assert "0.12345" in page.text
    assert "Warning: <b>Note</b>" in page.text
    path.write_text(json.dumps({"training": 3}))
    page = read(make_report(open_run(tmp_path / "run"), None, missing_data="They are gone."))
    assert "evaluation.json cannot be read" in page.text
    cut(path)
    page = read(make_report(open_run(tmp_path / "run"), None, missing_data="They are gone."))
    assert "Evaluation" not in page.text


def test_a_prior_that_cannot_be_read_costs_only_itself(pictures: Run, tmp_path: Path) -> None:
    shutil.copytree(pictures.folder, tmp_path / "run")
    cut(tmp_path / "run" / "prior" / "gaussian.safetensors")
    page = read(make_report(open_run(tmp_path / "run"), labelled()))
    assert "The gaussian prior is left out:" in page.text
    assert "mixture, the prior of this run" in page.text


@pytest.mark.parametrize("function", ["diagnosis_section", "code_scatter_section"])
def test_a_section_that_fails_costs_only_itself(
    function: str, pictures: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise np.linalg.LinAlgError("<b>no</b>\nminor.")

    complete = read(make_report(pictures, labelled())).ids()
    monkeypatch.setattr(f"glo.report.build.{function}", fail)
    with pytest.warns(RuntimeWarning, match=r"LinAlgError: <b>no</b> minor"):
        text = make_report(pictures, labelled())
    page = read(text)
    assert page.faults == []
    assert "LinAlgError: <b>no</b> minor" in page.text
    assert "<b>no" not in text
    sections = re.findall(r'<section id="(\w+)"', text)
    assert sections == [name for name in complete if name in set(sections)]
    assert len(sections) == 9


def test_equal_vectors_have_a_page(tmp_path: Path) -> None:
    data = Dataset(rows=np.ones((2, 1), np.float32), name="ones")
    finish(tmp_path, data, **QUICK)
    run = open_run(tmp_path)
    page = read(make_report(run, run.standardize(data)))
    assert "Map of the codes" in page.text
    assert "could not be made" not in page.text
    assert "mean example" in page.text
    assert "mean image" not in page.text

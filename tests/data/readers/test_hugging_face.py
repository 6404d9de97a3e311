"""Data sets of Hugging Face, by the real library and without a network."""

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as Pillow
from tests.builders import train

from glo import errors
from glo.data import SourceOptions, open_source
from glo.errors import UserError
from glo.runs.run import open_run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.chdir(tmp_path)


def png(level: int, side: int = 8) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(np.full((side, side), level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def pictures(n: int = 20, start: int = 0, image: str = "image", label: str = "label") -> Dataset:
    rows: dict[str, Any] = {
        image: [{"bytes": png(start + 5 * k), "path": None} for k in range(n)],
        label: [k % 2 for k in range(n)],
    }
    kinds = ClassLabel(names=["even", "odd"])
    return Dataset.from_dict(rows, features=Features({image: Image(), label: kinds}))


def check(found: Any, n: int = 20, start: int = 0) -> None:
    assert found.shape == (1, 8, 8)
    assert found.rows[:, 3, 3, 0].tolist() == [start + 5 * k for k in range(n)]
    assert found.labels.tolist() == [k % 2 for k in range(n)]
    assert found.label_names == ("even", "odd")


def test_a_parquet_file_of_the_library_is_opened_with_and_without_it() -> None:
    pictures().to_parquet("digits.parquet")
    check(open_source("hf:digits.parquet"))
    check(open_source("digits.parquet"))


def test_a_folder_of_images_is_read_by_the_library() -> None:
    for k in range(6):
        place = Path("photos") / "train" / ("even", "odd")[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{k}.png").write_bytes(png(5 * k))
    found = open_source("hf:photos")
    assert found.label_names == ("even", "odd")
    assert found.labels is not None
    levels = dict(zip(found.rows[:, 0, 0, 0].tolist(), found.labels.tolist(), strict=True))
    assert levels == {0: 0, 5: 1, 10: 0, 15: 1, 20: 0, 25: 1}
    assert found.name == "photos"


def test_what_save_to_disk_wrote_needs_no_prefix() -> None:
    pictures().save_to_disk("one")
    check(open_source("one"))
    check(open_source("hf:one"))
    DatasetDict(train=pictures(), test=pictures(7, start=100)).save_to_disk("two")
    check(open_source("two"))
    check(open_source("two", SourceOptions(split="test")), 7, 100)
    check(open_source("two", SourceOptions(limit=3)), 3)


def test_what_the_library_has_loaded_is_a_source() -> None:
    check(open_source(pictures()))  # type: ignore[arg-type]
    pictures().save_to_disk("one")
    check(open_source(datasets.load_from_disk("one")))  # type: ignore[arg-type]
    both = DatasetDict(train=pictures(), test=pictures(7, start=100))
    check(open_source(both))  # type: ignore[arg-type]
    check(open_source(both, SourceOptions(split="test")), 7, 100)  # type: ignore[arg-type]
    chosen = pictures().with_format("numpy").select([4, 0, 2])
    assert open_source(chosen).rows[:, 0, 0, 0].tolist() == [20, 0, 10]  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no 'test' split"):
        open_source(pictures(3), SourceOptions(split="test"))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="IterableDataset"):
        open_source(pictures(3).to_iterable_dataset())  # type: ignore[arg-type]


def test_rows_that_were_chosen_and_moved_are_those_that_are_read() -> None:
    pictures().select([4, 0, 2]).save_to_disk("some")
    assert open_source("some").rows[:, 0, 0, 0].tolist() == [20, 0, 10]


def test_columns_are_named_or_found() -> None:
    pictures(image="first", label="kind").save_to_disk("other")
    check(open_source("other"))
    both = pictures(image="before").remove_columns("label")
    both = both.add_column("after", [{"bytes": png(9), "path": None}] * 20)  # type: ignore[arg-type]
    both.cast_column("after", Image()).save_to_disk("both")
    with pytest.raises(UserError, match="2 columns of images: before, after; name one"):
        open_source("both")
    assert open_source("both?image=after").rows[7, 0, 0, 0] == 9
    assert open_source("hf:both?image=before").rows[7, 0, 0, 0] == 35
    assert open_source("other?label=none").labels is None


def test_columns_of_numbers_are_vectors() -> None:
    rows = {"mass": [1.0, None, 3.0], "count": [1, 2, 3], "label": ["ant", "bee", "ant"]}
    Dataset.from_dict(rows).save_to_disk("table")
    found = open_source("table")
    assert found.label_names == ("ant", "bee")
    np.testing.assert_array_equal(found.rows, np.float32([[1, 1], [np.nan, 2], [3, 3]]))


def test_a_run_is_trained_on_a_data_set_and_knows_it_again() -> None:
    pictures().to_parquet("digits.parquet")
    assert train("hf:digits.parquet", Path("run"), "--prior", "gaussian") == 0
    run = open_run("run")
    assert (run.data.source, run.data.n) == ("hf:digits.parquet", 20)
    assert run.sample(2, label="odd").shape == (2, 1, 8, 8)
    assert open_source(run.data.source).fingerprint == run.data.fingerprint


def test_a_data_set_that_changed_is_read_anew() -> None:
    pictures().to_parquet("digits.parquet")
    check(open_source("hf:digits.parquet"))
    pictures(9, start=50).to_parquet("digits.parquet")
    check(open_source("hf:digits.parquet"), 9, 50)


def test_mistakes_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    DatasetDict(train=pictures(3)).save_to_disk("one")
    with pytest.raises(UserError, match="has no split 'test', but train"):
        open_source("one", SourceOptions(split="test"))
    pictures(3).save_to_disk("bare")
    with pytest.raises(UserError, match="no 'test' split"):
        open_source("bare", SourceOptions(split="test"))
    Path("notes.txt").write_text("none")
    with pytest.raises(UserError, match=r"notes.txt is no file that datasets reads"):
        open_source("hf:notes.txt")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="hf:no/such-set cannot be opened"):
        open_source("hf:no/such-set")
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs datasets, .* pip install 'glo-torch\[datasets\]'"):
        open_source("hf:one")

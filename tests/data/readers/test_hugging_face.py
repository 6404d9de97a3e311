"""Datasets of Hugging Face, by the real library and without a network."""

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as Pillow

from glo import errors
from glo.data import SourceOptions, open_source
from glo.errors import UserError

TEST = SourceOptions(split="test")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.chdir(tmp_path)


def png(level: int) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(np.full((8, 8), level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def images(n: int = 20, start: int = 0, image: str = "image", label: str = "label") -> Dataset:
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


def test_a_parquet_file_with_and_without_the_library():
    images().to_parquet("digits.parquet")
    check(open_source("hf:digits.parquet"))
    check(open_source("digits.parquet"))
    images(9, start=50).to_parquet("digits.parquet")
    check(open_source("hf:digits.parquet"), 9, 50)


def test_one_of_two_columns_of_classes_is_taken_and_the_other_named():
    coarse = Features(image=Image(), coarse=ClassLabel(names=["a", "b"]))
    features = Features(**coarse, fine=ClassLabel(names=["x", "y", "z"]))
    rows = [{"image": {"bytes": png(k)}, "coarse": k % 2, "fine": k % 3} for k in range(6)]
    source = Dataset.from_list(rows, features=features)
    source.to_parquet("two.parquet")
    dataset = open_source("two.parquet")
    assert dataset.label_names == ("a", "b")
    assert "SOURCE?label=fine" in dataset.notes[-1]
    fine = open_source("two.parquet?label=fine")
    assert fine.label_names == ("x", "y", "z")
    assert "SOURCE" not in " ".join(fine.notes)


def test_a_folder_of_images():
    for k in range(6):
        place = Path("photos") / "train" / ("even", "odd")[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{k}.png").write_bytes(png(5 * k))
    dataset = open_source("hf:photos")
    assert (dataset.name, dataset.label_names) == ("photos", ("even", "odd"))
    levels = dict(zip(dataset.rows[:, 0, 0, 0].tolist(), dataset.labels.tolist(), strict=True))
    assert levels == {0: 0, 5: 1, 10: 0, 15: 1, 20: 0, 25: 1}


def test_a_folder_of_save_to_disk():
    images().save_to_disk("one")
    check(open_source("one"))
    check(open_source("hf:one"))
    DatasetDict(train=images(), test=images(7, start=100)).save_to_disk("two")
    check(open_source("two", TEST), 7, 100)
    check(open_source("two", SourceOptions(limit=3)), 3)
    images().select([4, 0, 2]).save_to_disk("some")
    assert open_source("some").rows[:, 0, 0, 0].tolist() == [20, 0, 10]


def test_a_loaded_dataset():
    check(open_source(images()))
    both = DatasetDict(train=images(), test=images(7, start=100))
    check(open_source(both))
    check(open_source(both, TEST), 7, 100)
    chosen = images().with_format("numpy").select([4, 0, 2])
    assert open_source(chosen).rows[:, 0, 0, 0].tolist() == [20, 0, 10]
    with pytest.raises(UserError, match="'test' split"):
        open_source(images(3), TEST)
    with pytest.raises(UserError, match="IterableDataset"):
        open_source(images(3).to_iterable_dataset())


def test_columns_are_named_or_found():
    images(image="first", label="kind").save_to_disk("other")
    check(open_source("other"))
    assert open_source("other?label=none").labels is None
    both = images(image="before").remove_columns("label")
    both = both.add_column("after", [{"bytes": png(9), "path": None}] * 20)
    both.cast_column("after", Image()).save_to_disk("both")
    with pytest.raises(UserError, match="before, after"):
        open_source("both")
    assert open_source("both?image=after").rows[7, 0, 0, 0] == 9
    assert open_source("hf:both?image=before").rows[7, 0, 0, 0] == 35


def test_columns_of_numbers_are_vectors():
    rows = {"mass": [1.0, None, 3.0], "count": [1, 2, 3], "label": ["ant", "bee", "ant"]}
    Dataset.from_dict(rows).save_to_disk("table")
    dataset = open_source("table")
    assert dataset.label_names == ("ant", "bee")
    np.testing.assert_array_equal(dataset.rows, np.float32([[1, 1], [np.nan, 2], [3, 3]]))


def test_datasets_that_cannot_be_used(monkeypatch):
    DatasetDict(train=images(3)).save_to_disk("one")
    Path("notes.txt").write_text("none")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for source, options, words in [
        ("one", TEST, "'test', but train"),
        ("hf:notes.txt", SourceOptions(), "notes.txt"),
        ("hf:no/such-set", SourceOptions(), "hf:no/such-set"),
    ]:
        with pytest.raises(UserError, match=words):
            open_source(source, options)
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\[datasets\]"):
        open_source("hf:one")

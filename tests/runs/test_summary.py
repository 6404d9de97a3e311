"""summary.json is whole or counts as not there."""

import json
from pathlib import Path
from typing import Any

import pytest

from glo.runs.summary import read_summary

WHOLE: dict[str, Any] = {
    "data": {"name": "a", "n": 3, "shape": [5]},
    "mse": 0.1,
    "psnr": None,
    "worst_mse": 0.2,
    "baselines": {"mean_image": 1.0, "pca": 0.5},
    "explained_variance": 0.9,
    "seconds": 1.5,
    "images_per_second": 10,
    "peak_memory_mb": 100.0,
    "diagnosis": ["a sentence"],
}


def written(folder: Path, values: Any) -> Path:
    (folder / "summary.json").write_text(json.dumps(values))
    return folder


def test_what_is_whole_comes_back(tmp_path: Path) -> None:
    assert read_summary(written(tmp_path, WHOLE)) == WHOLE
    assert read_summary(written(tmp_path, WHOLE | {"worst_mse": None})) is not None


@pytest.mark.parametrize("name", ["data", "mse", "baselines", "seconds", "diagnosis"])
@pytest.mark.parametrize("value", [None, "x", [], {}, True])
def test_another_kind_counts_as_absent(tmp_path: Path, name: str, value: Any) -> None:
    if (name, value) == ("diagnosis", []):
        return
    assert read_summary(written(tmp_path, WHOLE | {name: value})) is None


@pytest.mark.parametrize("values", [[], 7, {}, WHOLE | {"mse": -1.0}, WHOLE | {"diagnosis": [1]}])
def test_other_files_count_as_absent(tmp_path: Path, values: Any) -> None:
    assert read_summary(written(tmp_path, values)) is None

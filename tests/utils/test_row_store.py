"""Advice on memory-mapped rows: the values do not change."""

import itertools
import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo.utils.row_store import (
    _GAP,
    _page_runs,
    is_mapped,
    prefetch_rows,
    random_access,
    release_pages,
)

PAGE = mmap.PAGESIZE


@pytest.fixture
def array(tmp_path: Path) -> np.ndarray:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(40_000, dtype="float32").reshape(-1, 4))
    return np.load(path, mmap_mode="r")


def test_advice_does_not_change_rows(array: np.ndarray) -> None:
    rows = np.array([9_999, 3, 3, 5_000])
    with random_access((array, None)):
        prefetch_rows(array, rows)
        assert array[rows, 0].tolist() == [39_996, 12, 12, 20_000]
    release_pages(array)
    assert array[rows, 0].tolist() == [39_996, 12, 12, 20_000]


def test_a_view_is_mapped(array: np.ndarray) -> None:
    part = array[1::2]
    assert is_mapped(part)
    prefetch_rows(part, np.arange(len(part)))
    assert part[4_999, 0] == 39_996


@pytest.mark.parametrize("rows", [[], [10_000], [-1], [2**60]])
def test_prefetch_rows_ignores_rows_out_of_range(array: np.ndarray, rows: list[int]) -> None:
    prefetch_rows(array, np.array(rows, dtype=np.int64))


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=50), st.integers(1, 10_000))
def test_page_runs_cover_every_byte_and_are_separate(starts: list[int], size: int) -> None:
    first = np.sort(np.array(starts, dtype=np.int64))
    found = _page_runs(first, first + size)
    assert all(low % PAGE == 0 and high % PAGE == 0 and low < high for low, high in found)
    for start in starts:
        assert any(low <= start and start + size <= high for low, high in found)
    for (_, high), (low, _) in itertools.pairwise(found):
        assert low - high > _GAP - PAGE


def test_page_runs_of_near_rows_are_joined() -> None:
    starts = np.array([0, 2 * PAGE, 2 * PAGE + _GAP, 10 * _GAP])
    assert len(_page_runs(starts, starts + 8)) == 2

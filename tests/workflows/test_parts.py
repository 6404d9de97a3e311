"""Parts of the rows of a dataset: order, resume, and parts of something else."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.builders import samples
from torch import Tensor

from glo.data import Dataset
from glo.errors import UserError
from glo.utils.distributed import SINGLE_PROCESS
from glo.workflows.parts import Parts

N, SIZE = 11, 4


class Compute:
    """Column that identifies a row, and the rows that were computed."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        self.rows += rows.tolist()
        return {"square": rows**2, "code": torch.stack([rows, -rows], dim=1).float()}


@pytest.fixture
def dataset() -> Dataset:
    return samples(N)


@pytest.fixture
def parts(tmp_path: Path, dataset: Dataset) -> Parts:
    return Parts(tmp_path / "parts", dataset, SIZE, {"run": "a"})


def test_columns_are_in_the_order_of_the_rows(parts: Parts) -> None:
    compute, planned = Compute(), list[int]()
    parts.complete(SINGLE_PROCESS, compute, planned.append)
    assert compute.rows == list(range(N))
    assert planned == [N]
    assert parts.n_finished == N
    table = parts.table()
    assert list(table) == ["square", "code"]
    assert table["square"].tolist() == [row**2 for row in range(N)]
    assert table["code"].tolist() == [[row, -row] for row in range(N)]
    parts.remove()
    assert not parts.folder.exists()


def test_only_missing_parts_are_computed(parts: Parts) -> None:
    def interrupted(rows: Tensor) -> dict[str, Tensor]:
        if rows[0] == 2 * SIZE:
            raise KeyboardInterrupt
        return Compute()(rows)

    with pytest.raises(KeyboardInterrupt):
        parts.complete(SINGLE_PROCESS, interrupted)
    assert parts.n_finished == 2 * SIZE
    # A part that a full disk cut off counts as missing.
    first = parts.folder / "000000.safetensors"
    first.write_bytes(first.read_bytes()[:-5])
    compute = Compute()
    parts.complete(SINGLE_PROCESS, compute)
    assert compute.rows == [0, 1, 2, 3, 8, 9, 10]
    assert parts.table()["square"].tolist() == [row**2 for row in range(N)]


@pytest.mark.parametrize(
    "other",
    [
        lambda folder, dataset: Parts(folder, dataset, SIZE, {"run": "b"}),
        lambda folder, dataset: Parts(folder, samples(N, seed=1), SIZE, {"run": "a"}),
        lambda folder, dataset: Parts(folder, samples(SIZE), SIZE, {"run": "a"}),
    ],
    ids=["run", "data", "fewer rows"],
)
def test_parts_of_something_else_are_refused(
    parts: Parts, dataset: Dataset, other: Callable[[Path, Dataset], Parts]
) -> None:
    parts.complete(SINGLE_PROCESS, Compute())
    compute = Compute()
    with pytest.raises(UserError):
        other(parts.folder, dataset).complete(SINGLE_PROCESS, compute)
    assert compute.rows == []
    assert parts.n_finished == N


def test_a_part_that_is_gone_is_named(parts: Parts) -> None:
    parts.complete(SINGLE_PROCESS, Compute())
    (parts.folder / "000001.safetensors").unlink()
    with pytest.raises(UserError, match="000001"):
        parts.table()

"""Identities of rows: right after any removals, and never a row that was not meant."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glo.data.storage import to_ids
from glo.errors import UserError, printable
from glo.runs.row_ids import RowIds

PEOPLE = [f"person{i}.png" for i in range(12) if i not in (3, 7)]


def rows(*values: Any, **more: Any) -> RowIds:
    return RowIds(to_ids([*values]), len(values), **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person6.png", [5]),
        ("5", [5]),
        ("row:5", [5]),
        ("id:person6.png", [5]),
        ("person6.png, 1\n8-9\n1", [5, 1, 8, 9]),
        ("# three\n 1\n  # 2\nid:person6.png", [1, 5]),
        ("1 2,3\r\nperson11.png\n\n", [1, 2, 3, 9]),
        ("", []),
    ],
)
def test_files(text: str, expected: list[int]) -> None:
    assert rows(*PEOPLE).parse(text).tolist() == expected


@pytest.mark.parametrize("text", ["person3.png", "10", "5;6", "7-5", "id:5", "row:person6.png"])
def test_a_row_that_is_not_there(text: str) -> None:
    with pytest.raises(UserError):
        rows(*PEOPLE).parse(text)


def test_commas_blanks_and_prefixes_in_names() -> None:
    ids = rows("a, b.png", "a", " c", "row:x", "id:a", "b.png")
    assert ids.parse("a, b.png").tolist() == [0]
    assert ids.parse("a, b.png\na").tolist() == [0, 1]
    assert ids.parse("a,b.png").tolist() == [1, 5]
    assert ids.parse(" c\nrow:x").tolist() == [2, 3]
    assert [ids.find(text) for text in ("id:a", "id:id:a", "row:3")] == [1, 4, 3]


@pytest.mark.parametrize(
    "ids",
    [
        RowIds(None, 12),
        rows(*PEOPLE),
        rows(*range(5), *range(6, 12), settled=5),
        rows(
            "ann", "#bob", "ann", "id:ann", "a, b", " c ", "3", "0-2", "", "\n", "\x85x", "#bob, x"
        ),
    ],
)
def test_a_formatted_list_is_the_same_rows(ids: RowIds) -> None:
    listed = [*range(ids.n)][::-1]
    text = ids.format(listed)
    assert len(text.splitlines()) == ids.n
    assert ids.parse(f"# of a run\n{text}").tolist() == listed
    assert [ids.parse(line).tolist() for line in text.splitlines()] == [[row] for row in listed]


def test_a_formatted_list_is_valid_after_removals() -> None:
    before, kept = RowIds(None, 8), torch.tensor([0, 3, 4, 7])
    after = RowIds(before.subset(kept).ids, 4, settled=1)
    assert after.parse(before.format([7, 3])).tolist() == [3, 1]


def test_a_number_is_refused_once_rows_moved() -> None:
    for ids in (rows(*range(5), *range(6, 12)), rows(*PEOPLE, settled=5)):
        assert ids.parse("0-4").tolist() == [0, 1, 2, 3, 4]
        for text in ("5", "3-6"):
            with pytest.raises(UserError):
                ids.parse(text)
        assert ids.find("row:5") == 5
    numbers = rows(*range(5), *range(6, 12))
    assert numbers.find("id:6") == 5
    assert numbers.find("11") == 10


@pytest.mark.parametrize("text", ["3", "2-4", "0"])
def test_an_index_of_numbers_is_not_taken_for_rows(text: str) -> None:
    ids = rows("1", "2", "4", "2-4", "5")
    with pytest.raises(UserError):
        ids.parse(text)
    assert ids.find("id:2-4") == 3
    assert ids.find("id:4") == 2


def test_an_identity_of_several_rows() -> None:
    ids = rows("ann", "bob", "ann")
    assert ids.parse("ann").tolist() == [0, 2]
    with pytest.raises(UserError):
        ids.find("ann")
    assert ids.find("row:2") == 2


def test_a_row_has_a_description() -> None:
    assert rows(*PEOPLE).describe([5]) == "row 5 (person6.png)"
    assert RowIds(None, 20).describe([5, 6]) == "rows 5, 6"
    assert RowIds(None, 20).describe(range(20)).endswith("7 and 12 more")


def test_added_rows_have_identities_of_their_own() -> None:
    added = rows("cat/1.png", "cat/2.png", "cat/2.png").without(
        rows("cat/1.png", "new/cat/2.png"), ["new/cat/1.png", "new/cat/2.png", "b/cat/2.png"]
    )
    assert added.names == ["new/cat/1.png", "cat/2.png", "b/cat/2.png"]
    assert rows("3").without(RowIds(None, 4)).names == ["3 (2)"]
    assert RowIds(None, 2).joined(rows(2, 3)).ids is None
    assert RowIds(None, 2).joined(rows(3)).names == ["0", "1", "3"]


def test_a_name_is_found_as_it_is_and_as_it_is_shown() -> None:
    raw = os.fsdecode(b"caf\xe9\n.png")
    for stored in (raw, printable(raw)):
        ids = rows("a.png", stored)
        assert ids.of(1) == ids.names[1] == printable(raw)
        for text in (raw, printable(raw), f"id:{raw}", f"id:{printable(raw)}"):
            assert ids.parse(text).tolist() == [ids.find(text)] == [1]
            assert text.removeprefix("id:") in ids


def test_thousands_of_equal_identities() -> None:
    n, start = 20_000, time.perf_counter()
    names = rows(*["ann"] * n).without(rows("ann", "ann (3)")).names
    assert time.perf_counter() - start < 5
    assert names[:3] == ["ann (2)", "ann (4)", "ann (5)"]
    assert len({*names}) == n


def test_a_run_folder(tmp_path: Path) -> None:
    rows(*PEOPLE, 12).write(tmp_path)
    assert RowIds.read(tmp_path, 11).names == [*PEOPLE, "12"]
    with pytest.raises(UserError):
        RowIds.read(tmp_path, 12)


@given(st.data())
def test_no_other_row_after_any_removals(data: st.DataObject) -> None:
    """A text that stands for a row before removals stands for the same one later, or for none."""
    n = data.draw(st.integers(2, 12))
    values = data.draw(
        st.none()
        | st.lists(st.integers(0, 15).map(str) | st.text(max_size=3), min_size=n, max_size=n)
    )
    before = RowIds(None if values is None else to_ids(values), n)
    remaining = data.draw(st.sets(st.integers(0, n - 1), min_size=1).map(sorted))
    removed = sorted(set(range(n)) - {*remaining})
    after = before.subset(torch.tensor(remaining))
    after = RowIds(after.ids, after.n, settled=removed[0] if removed else after.n)
    for row in range(n):
        for text in {str(row), before.of(row), f"id:{before.of(row)}"}:
            try:
                meant = before.find(text)
                found = after.find(text)
            except UserError:
                continue
            assert remaining[found] == meant, text
    for row in remaining:
        assert after.of(after.find(f"row:{remaining.index(row)}")) == before.of(row)


def test_a_million_rows() -> None:
    ids = RowIds(to_ids([f"folder/{i}.png" for i in range(1_000_000)]), 1_000_000)
    start = time.perf_counter()
    text = "\n".join(f"folder/{i}.png" for i in range(0, 1_000_000, 10))
    assert len(ids.parse(text)) == 100_000
    assert len(ids.parse("\n".join(map(str, range(100_000))))) == 100_000
    assert time.perf_counter() - start < 20

"""Parsing and formatting of row numbers."""

import pytest

from glo.errors import UserError
from glo.runs.data_record import DataRecord
from glo.utils.row_ranges import parse_rows, rows_text


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3", [3]),
        ("3,17,40-42", [3, 17, 40, 41, 42]),
        ("9\n3 , 3-4\n", [3, 4, 9]),
        ("0-0,99", [0, 99]),
        ("", []),
    ],
)
def test_parse_rows_returns_rising_unique_rows(text: str, rows: list[int]) -> None:
    found = parse_rows(text, 100)
    assert found.tolist() == rows
    assert parse_rows(rows_text(found), 100).tolist() == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("3,x", "'x' is no row number and no range"),
        ("-3", "'-3' is no row number"),
        ("1.5", "write them like 3,17,40-49"),
        ("9-3", "The range 9-3 ends before it begins"),
        ("100", "Row 100 is not there: the rows are 0 to 99"),
        ("5-99999999999999999999", "is not there"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_rows(text, 100)


def test_histories_have_different_fingerprints() -> None:
    facts = DataRecord(source="a", name="a", n=9, shape=(3,), fingerprint="0" * 16)
    more = {"source": "b", "name": "b", "fingerprint": "1" * 16}
    after = [facts.forgotten(1, "3"), facts.forgotten(1, "4"), facts.added(2, **more)]
    after.append(after[0].added(2, **more))
    assert len({each.fingerprint for each in [facts, *after]}) == 5
    assert [each.n for each in after] == [8, 8, 11, 10]
    assert [each.n_trained for each in after] == [9, 9, 9, 9]
    assert all(DataRecord.from_dict(each.to_dict()) == each for each in [facts, *after])
    assert "changes" not in facts.to_dict()

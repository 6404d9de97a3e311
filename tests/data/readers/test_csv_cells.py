"""Cells of .csv files: separators, decimal signs, gaps, and cells that are no numbers."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from glo.data import Dataset, SourceOptions, open_source
from glo.errors import UserError

NAN = np.nan
TABLE = pandas.DataFrame({"a": [0.5, 1250.25, -3.0], "b": [1.0, 2.0, 3.5]})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(text: str | bytes, spec: str = "", **options: int) -> Dataset:
    Path("t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_source(f"t.csv{spec}", SourceOptions(**options))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_decimal_signs_and_encodings(separator, decimal, encoding):
    text = TABLE.to_csv(index=False, sep=separator, decimal=decimal)
    dataset = read(text.encode(encoding))
    np.testing.assert_array_equal(dataset.rows, TABLE.to_numpy(np.float32))
    reading = dataset.reading
    assert (reading.columns, reading.separator) == (("a", "b"), separator)
    assert reading.decimal == decimal


def test_a_tsv_file():
    Path("t.tsv").write_text("a\tb\n1\t2\n")
    assert open_source("t.tsv").rows.tolist() == [[1, 2]]


def test_names_with_commas_do_not_hide_the_separator():
    dataset = read("mass, kg;wing, m\n0,5;1,5\n2;3,5\n")
    assert dataset.reading.columns == ("mass, kg", "wing, m")
    assert dataset.rows.tolist() == [[0.5, 1.5], [2, 3.5]]
    assert read("mass, kg;wing, m\n0,5;1,5\n", "?without=mass%2C kg").shape == (1,)


@pytest.mark.parametrize("cell", ["", " ", '""', "NA", " NaN", "null ", "n/a", "#N/A", "<NA>"])
def test_gaps(cell):
    np.testing.assert_array_equal(read(f"a,b\n1.5,2\n{cell},3\n").rows, [[1.5, 2], [NAN, 3]])


@pytest.mark.parametrize(
    ("cell", "option"),
    [
        ("<0.05", "?missing=<0.05"),
        ("-", "?missing=-"),
        ("#DIV/0!", "?missing=#DIV/0!"),
        ("12 %", "?missing=12 %25"),
        ("$3.50", "?missing=$3.50"),
        ("kg", "?missing=kg"),
        ('"a,b"', "?missing=a%2Cb"),
        ('"1,234"', "?thousands=,"),
        ('"1,234,567.5"', "?thousands=,&decimal=."),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_advice_that_works(cell, option):
    text = f"a,b\n1,2\n4,5\n{cell},3\n4,5\n"
    with pytest.raises(UserError) as caught:
        read(text)
    message = str(caught.value)
    assert f"'{cell.strip(chr(34))}' in row 4 " in message
    assert "'a'" in message
    assert f"SOURCE{option}" in message
    assert "SOURCE?without=a" in message
    assert read(text, "?without=a").shape == (1,)
    dataset = read(text, option)
    values = {"?thousands=,": 1234, "?thousands=,&decimal=.": 1234567.5}
    np.testing.assert_array_equal(dataset.rows[:, 0], [1, 4, values.get(option, NAN), 4])


def test_cells_are_counted_and_other_columns_too():
    with pytest.raises(UserError, match=r"2 cells.*'x'.*\?missing=x,y.*1 more"):
        read("a,b\n1,2\nx,5\ny,u\n4,5\n5,6\n6,7\n")


def test_a_decimal_comma_below_the_first_lines():
    text = "a,b\n" + "1,2\n" * 300
    with pytest.raises(UserError, match=r"'0,5' in row 302 .*SOURCE\?decimal=,"):
        read(f'{text}"0,5",2\n')
    assert read(f'{text}"0,5",2\n', "?decimal=,").rows[-1].tolist() == [0.5, 2]
    with pytest.raises(UserError, match=r"'0,5' in row 2 .*SOURCE\?missing=0%2C5"):
        read('a,b\n"0,5",2\n1.5,2\n2,2\n')


def test_columns_of_one_unit_or_sign_are_not_taken_for_texts():
    with pytest.raises(UserError, match="'12%' in row 2"):
        read("a,b\n12%,2\n13%,5\n")
    with pytest.raises(UserError, match=r"'1,500' in row 2.*decimal=, or SOURCE\?thousands=,"):
        read('a,b\n"1,500",2\n"1,250",3\n')


@pytest.mark.parametrize("spec", ["?thousands=.&decimal=,", "?thousands=."])
def test_thousands(spec):
    dataset = read("a;b\n1.234,5;2\n-1.234.567;3\n,5;1e3\n12;4\n", spec)
    expected = np.float32([[1234.5, 2], [-1234567, 3], [0.5, 1000], [12, 4]])
    np.testing.assert_array_equal(dataset.rows, expected)
    with pytest.raises(UserError, match=r"'12\.34' in row 3"):
        read("a;b\n1.234,5;2\n12.34;3\n2,5;3\n", spec)


@pytest.mark.parametrize("spec", ["decimal=,&thousands=,", "decimal=ab", "separator=1"])
def test_signs_that_are_refused(spec):
    with pytest.raises(UserError):
        read("a;b\n1,5;2\n", f"?{spec}")


def test_options_of_csv_files_are_refused_elsewhere():
    TABLE.to_parquet("t.parquet")
    with pytest.raises(UserError, match="decimal"):
        open_source("t.parquet?decimal=,")


def test_a_trailing_separator_and_an_index():
    dataset = read(",a,b,\nu,1,2,\nv,3,4, \n")
    assert dataset.rows.tolist() == [[1, 2], [3, 4]]
    assert dataset.ids is not None
    assert dataset.ids.tolist() == ["u", "v"]
    assert any("blank" in note for note in dataset.notes)


def test_a_late_text_and_cells_of_several_lines():
    lines = ["a,note,b", *(f'{k},"one\ntwo, {k}",{k}.5' for k in range(60_000))]
    dataset = read("\n".join(lines), "?without=note")
    assert dataset.rows[[0, -1]].tolist() == [[0, 0.5], [59_999, 59_999.5]]
    with pytest.raises(UserError, match="'late' in row 60,002 "):
        read("\n".join([*lines, "1,x,late"]), "?without=note")

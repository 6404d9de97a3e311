"""Cells that are filled in .csv files, whose other bytes stay."""

import re
from pathlib import Path

import numpy as np
import pytest

from glo.data import SourceOptions
from glo.errors import UserError
from glo.workflows.incomplete_table import open_incomplete_table

FILES = {
    "plain": "a,b\n1,\n,2\n3,4\n",
    "no end": "a,b\n1,\n,2\n3,",
    "windows": "a,b\r\n1,\r\n,2\r\n3,4\r\n",
    "mixed": "a,b\n1,\r\n\r\n,2\r3,4\n\n\n",
    "mac": "a,b\r1,\r,2",
    "quotes": '"a","b"\n"1",""\n"","2"\n"NA",4\n',
    "others": 'x,a,b,y\n"p ""q"", r",1, ,5" z\n"two\r\nlines",,2.50,\n',
    "spaces": "a, b\n1 ,  \n NA , 2\n",
    "semicolons": "a;b\n1,50;\n;2\n",
    "comma twice": 'a,b\n"1,50",\n,"2,5"\n',
    "tabs": "a\tb\n1\tNaN\n\t2\n",
    "trailing": ",a,b,\nu,1,,\nv,,2,\n",
    "no names": "3,1,2\n,5,6\n7,,9\n",
    "accents": "a,b,\xe9\n1,,\xfc\n,2,\u03c0\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_all_other_bytes_stay(tmp_path: Path, text: str, encoding: str) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "out.csv"
    before = text.encode(encoding)
    path.write_bytes(before)
    others = ["x", "y", "é"]
    chosen = [name for name in others if name in text.splitlines()[0].split(",")]
    source = f"{path}?without={','.join(chosen)}" if chosen else str(path)
    table = open_incomplete_table(source, SourceOptions())
    imputed = np.full(table.missing.shape, 765.25, np.float32)
    table.save(out, imputed)
    after = out.read_bytes()
    form = table.dataset.reading
    number = f"765{form.decimal}25"
    filled = after.decode(encoding)
    assert filled.count(number) == table.missing.sum()
    quoted = f'"{number}"' if form.decimal == form.separator else number
    blank = re.sub("NA|NaN", "", text)
    assert filled.replace(quoted, "").encode(encoding) == blank.encode(encoding)
    # A second reading has the same numbers, and none is missing.
    again = open_incomplete_table(source.replace("t.csv", "out.csv"), SourceOptions())
    expected = np.where(table.missing, imputed, table.dataset.rows)
    np.testing.assert_array_equal(again.dataset.rows, expected)
    assert again.dataset.reading == form


def test_bytes_of_another_encoding_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,who\n1,,caf\xe9\n2,3,\n")
    table = open_incomplete_table(f"{path}?without=who", SourceOptions())
    table.save(tmp_path / "out.csv", np.full((2, 2), 5, np.float32))
    assert (tmp_path / "out.csv").read_bytes() == b"a,b,who\n1,5.0,caf\xe9\n2,3,\n"


def test_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\r\n1,\r\n\r\n,2\r\n3,4\r\n")
    table = open_incomplete_table(str(path), SourceOptions(limit=2))
    table.save(tmp_path / "out.csv", np.full((2, 2), 5, np.float32))
    assert (tmp_path / "out.csv").read_bytes() == b"a,b\r\n1,5.0\r\n\r\n5.0,2\r\n"


def test_a_file_that_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,\n3,4\n")
    table = open_incomplete_table(str(path), SourceOptions())
    for content in (b"a,b\n1,\n", b"a,b\n1\n3\n"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="changed"):
            table.save(tmp_path / "out.csv", np.full((2, 2), 5, np.float32))
    assert not (tmp_path / "out.csv").exists()

"""Limits of untrusted JSON and TOML."""

import time
from pathlib import Path

import pytest

from glo.errors import UserError
from glo.utils.json_toml import MAX_TOML_BYTES, parse_json, read_json, read_toml


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"a": 1, "a": 1}', "it has 'a' twice"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 20 + "]" * 20, "more than 16 deep"),
        ("9" * 5000, "is not JSON"),
        (str(2**63), "beyond 64 bits"),
    ],
)
def test_parse_json_raises(text: str, part: str) -> None:
    with pytest.raises(UserError, match=part) as caught:
        parse_json(text, "This")
    assert str(caught.value).startswith("This ")


def test_read_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, -9223372036854775808, 1e300, null, "ü"]}', "utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, -(2**63), 1e300, None, "ü"]}
    with pytest.raises(UserError, match="at most 9 are read"):
        read_json(tmp_path / "a.json", max_bytes=9)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a" + ".a" * 40_000 + " = 1", "dots, commas and brackets"),
        ("x = [" + "1," * 500_000 + "]", "dots, commas and brackets"),
        ("a = " + "[" * 100_000, "dots, commas and brackets"),
        ("a = " + "[\n" * 30_000, "it is too deep"),
        ("a = " + "[\n" * 60_000, "60,001"),
        ("[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p]", "more than 16 deep"),
        ("a = 0x" + "f" * 9000, "beyond 64 bits"),
        ("a = " + "9" * 9000, "is not a TOML file"),
        ("a = 1\na = 2", "is not a TOML file"),
        ('a = "' + "x" * MAX_TOML_BYTES + '"', "at most 8,388,608 are read"),
    ],
)
def test_read_toml_raises_within_seconds(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    began = time.process_time()
    with pytest.raises(UserError, match=part):
        read_toml(tmp_path / "a.toml")
    assert time.process_time() - began < 2


def test_read_toml_with_long_lists_of_rows_and_comments(tmp_path: Path) -> None:
    rows = ",".join(map(str, range(0, 400_000, 2)))
    (tmp_path / "a.toml").write_text(f'# {"." * 200}\nrows = "{rows}"\npath = "../a.b/c.d.e/f"\n')
    assert read_toml(tmp_path / "a.toml") == {"rows": rows, "path": "../a.b/c.d.e/f"}

"""Cells of a .csv file: conversion of strings to numbers, and cells that are no numbers."""

import re
from typing import Any

from glo.data.column_spec import escape
from glo.data.readers.csv_format import MISSING, CsvFormat

__all__ = ["convert_column"]

# Number with a sign before it, or a unit or another sign behind it: <0.05, 12 %, 3.5 kg, 1,000.
_NEARLY = r"^[<>~=≤≥±$€£+-]*\s*\d[\d.,' \x{a0}\x{202f}]*([eE][+-]?\d+)?\s*(%|[^\d\s]{1,5})?$"
_MAX_TEXTS = 3


def convert_column(name: str, column: Any, form: CsvFormat) -> tuple[Any, str]:
    """Convert a column of strings to float64 where its cells are numbers or missing.

    Returns:
        pyarrow.ChunkedArray, converted or as it was, and a sentence on the cells that are no
        numbers, "" if these are all or none.
    """
    import pyarrow
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(column)
    missing = compute.is_in(texts, value_set=pyarrow.array([*MISSING, *form.missing]))
    if compute.all(missing).as_py():
        return pyarrow.chunked_array([pyarrow.nulls(len(column))]), ""
    good = compute.match_substring_regex(texts, _pattern(form))
    bad = compute.invert(compute.or_(missing, good))
    n_bad = compute.sum(bad).as_py()
    if n_bad:
        nearly = compute.and_(bad, compute.match_substring_regex(texts, _NEARLY))
        n_good = compute.sum(compute.or_(good, nearly)).as_py()
        if 2 * n_good <= len(column) - compute.sum(missing).as_py():
            return column, ""
        # Where other numbers have the decimal sign, another one would not read them.
        has_sign = compute.any(compute.match_substring(texts.filter(good), form.decimal)).as_py()
        return column, _fault(name, texts, bad, n_bad, form, has_sign=has_sign)
    if form.thousands:
        texts = compute.replace_substring(texts, form.thousands, "")
    if form.decimal != ".":
        texts = compute.replace_substring(texts, form.decimal, ".")
    null = pyarrow.scalar(None, texts.type)
    numbers = compute.cast(compute.if_else(missing, null, texts), pyarrow.float64())
    return numbers, ""


def _pattern(form: CsvFormat) -> str:
    point, group = re.escape(form.decimal), re.escape(form.thousands)
    integer = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)" if group else r"\d+"
    number = rf"({integer}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    return rf"^[+-]?({number}|[iI]nf|[iI]nfinity|INF)$"


def _fault(name: str, texts: Any, bad: Any, count: int, form: CsvFormat, *, has_sign: bool) -> str:
    from pyarrow import compute

    row = compute.index(bad, True).as_py()
    first = texts[row].as_py()
    distinct = compute.unique(texts.filter(bad)).slice(0, _MAX_TEXTS + 1).to_pylist()
    missing = ",".join(escape(text) for text in distinct)
    options = [f"SOURCE?{option}" for option in _spellings(first, form, has_sign=has_sign)]
    if options:
        repair = f"read it as a number, as {' or '.join(options)}"
    elif len(distinct) <= _MAX_TEXTS:
        repair = f"read such cells as missing, as SOURCE?missing={missing}"
    else:
        repair = "repair such cells"
    cells = (
        f"{count:,} cells that are no numbers, first" if count > 1 else "a cell that is no number,"
    )
    return (
        f"column '{name}' has {cells} '{first[:60]}' in row {row + form.first_row:,} of the file; "
        f"{repair}, or leave the column out, as SOURCE?without={escape(name)}"
    )


def _spellings(text: str, form: CsvFormat, *, has_sign: bool) -> list[str]:
    """Return the options by which a text would be a number; `has_sign`: others are decimals."""
    grouped = re.fullmatch(r"[+-]?\d{1,3}(?:([,.' \xa0\u202f])\d{3})+(?:([.,])\d+)?", text)
    plain = re.fullmatch(r"[+-]?\d*([.,])\d+(?:[eE][+-]?\d+)?", text)
    is_other = plain and plain[1] != form.decimal and not has_sign
    options = [f"decimal={plain[1]}"] if plain and is_other else []
    if grouped and grouped[2] and grouped[1] != grouped[2]:
        options.append(f"thousands={grouped[1]}&decimal={grouped[2]}")
    elif grouped and grouped[1] != form.decimal:
        options.append(f"thousands={grouped[1]}")
    return options

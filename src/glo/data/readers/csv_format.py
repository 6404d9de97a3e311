"""Format of a .csv file: encoding, separator, decimal sign and line of names."""

import csv
import io
import mmap
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from operator import and_
from pathlib import Path
from typing import final

from glo.data.column_spec import ColumnSpec
from glo.data.reading import Reading
from glo.errors import UserError

__all__ = ["MISSING", "CsvFormat", "find_format", "is_real", "to_number"]

# The spellings of missing values that pyarrow and pandas read as such.
MISSING = (
    *("", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "Null", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
_SEPARATORS = (",", ";", "\t", "|")
_HEAD_BYTES, _HEAD_ROWS = 2**20, 200
# Numbers that rise or fall in the first line: fewer may do so in a row by chance.
_MIN_SORTED = 8
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
# 1,234 is a number with a decimal comma or with a thousands separator.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@final
@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """Format of a .csv file.

    Attributes:
        encoding: "utf-8", "utf-8-sig" (with a byte order mark) or "utf-16".
        separator: character between the cells.
        decimal: decimal sign.
        thousands: thousands separator, or "".
        missing: texts of missing cells beside `MISSING`.
        names: names of the columns; column1, column2, ... without any.
        has_names: whether the first line has the names, and not the first row.
        has_quotes: whether there is a quotation mark in the file.
    """

    encoding: str
    separator: str
    decimal: str
    thousands: str
    missing: tuple[str, ...]
    names: tuple[str, ...]
    has_names: bool
    has_quotes: bool

    @property
    def first_row(self) -> int:
        """Row of a spreadsheet, counted from 1, that has the first example."""
        return 2 if self.has_names else 1


def find_format(path: Path, spec: ColumnSpec, reading: Reading | None) -> CsvFormat:
    """Find the format of a .csv file in its first lines, unless it is given or recorded."""
    encoding, text = _read_head(path)
    separators = (spec.separator,) if spec.separator else _SEPARATORS
    splits = {separator: _split(text, separator) for separator in separators}
    separator = max(splits, key=lambda each: _plausibility(splits[each]))
    rows = splits[separator]
    if not rows:
        raise UserError(f"{path} is empty; give at least one example.")
    _check_first_line(path, rows, separator)
    expected = {*spec.names, *(reading.columns if reading else ())}
    has_names = not expected.isdisjoint(rows[0]) or _has_names(rows)
    names = rows[0] if has_names else [f"column{place + 1}" for place in range(len(rows[0]))]
    if any("\ufffd" in name for name in names):
        raise UserError(
            f"The names of the columns of {path} are not UTF-8; save it as UTF-8, for example by "
            f"iconv -f CP1252 -t UTF-8."
        )
    thousands = spec.thousands or (reading.thousands if reading else "")
    recorded = reading.decimal if reading else ""
    cells = [cell for row in rows[1:] for cell in row]
    decimal = spec.decimal or recorded or _decimal(cells, separator, thousands)
    if decimal == thousands:
        raise UserError(f"'{decimal}' is decimal sign and thousands separator; give two signs.")
    return CsvFormat(
        encoding=encoding,
        separator=separator,
        decimal=decimal,
        thousands=thousands,
        missing=spec.missing or (reading.missing if reading else ()),
        names=tuple(names),
        has_names=has_names,
        has_quotes=encoding == "utf-16" or _has_quotes(path),
    )


def _read_head(path: Path) -> tuple[str, str]:
    """Return the encoding of a file, and the text of its first whole lines."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        is_whole = not file.read(1)
    encoding = next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\0" in head[:1000]:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.")
    text = head.decode(encoding, "replace")
    ends = [text.rfind(end) for end in "\r\n"]
    return encoding, text if is_whole or max(ends) < 0 else text[: max(ends)]


def _split(text: str, separator: str) -> list[list[str]]:
    """Return the cells of the first lines."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a field of more than 128 KiB
        rows.extend(row for row in islice(lines, _HEAD_ROWS) if row)
    return rows


def _width(rows: list[list[str]]) -> int:
    """Return the number of cells that most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0


def _plausibility(rows: list[list[str]]) -> tuple[float, float, int]:
    width = _width(rows)
    if width < 2:
        return (0.0, 0.0, 0)
    share = sum(len(row) == width for row in rows) / len(rows)
    cells = [cell.strip() for row in rows[1:] for cell in row]
    numbers = sum(not cell or is_real(cell) for cell in cells)
    return (share * (1 + numbers / max(1, len(cells))), share, width)


def _check_first_line(path: Path, rows: list[list[str]], separator: str) -> None:
    first, width = rows[0], _width(rows)
    if len(first) < width:
        cells = "1 cell" if len(first) == 1 else f"{len(first)} cells"
        advice = "delete the lines above the names of the columns, and give each column a name"
        if len(first) == width - 1 and not any("".join(row[width - 1 :]) for row in rows):
            advice = f"delete the '{separator}' at the end of these"
        raise UserError(
            f"The first line of {path} has {cells} ('{separator.join(first)[:60]}'), and most lines"
            f" have {width}; {advice}."
        )


def _decimal(cells: list[str], separator: str, thousands: str) -> str:
    texts = [cell.strip() for cell in cells]
    if thousands or any(_POINT.fullmatch(text) for text in texts):
        return "," if thousands == "." else "."
    commas = [text for text in texts if _COMMA.fullmatch(text)]
    # Between commas a quoted 1,234 is as likely a thousand.
    is_clear = separator != "," or not all(_GROUPED.fullmatch(text) for text in commas)
    return "," if commas and is_clear else "."


def _has_names(rows: list[list[str]]) -> bool:
    """Return whether the first line has names: words above numbers, or numbers only as names.

    These are consecutive integers, which pandas makes, or many that rise or fall, as wavelengths.
    """
    numbers = [number for number in map(to_number, rows[0]) if number is not None]
    below = [[row[place] for row in rows[1:] if place < len(row)] for place in range(len(rows[0]))]
    words = [name[:1].isalpha() and name not in MISSING and not is_real(name) for name in rows[0]]
    above = [2 * sum(map(is_real, cells)) > len(cells) for cells in below]
    if not numbers or any(map(and_, words, above)):
        return True
    if numbers == [round(numbers[0]) + step for step in range(len(numbers))]:
        return len(rows[0]) > 1
    rising = sorted(set(numbers))
    return len(numbers) >= _MIN_SORTED and numbers in (rising, rising[::-1])


def is_real(text: str) -> bool:
    """Return whether a text is a number with a decimal point or comma."""
    return to_number(text) is not None


def to_number(text: str) -> float | None:
    """Return the number of a text with a decimal point or comma, or None."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b'"') >= 0

"""Replacement of cells in a .csv file, which keeps all other bytes."""

import re
from collections.abc import Mapping

from glo.data.readers.csv_format import CsvFormat
from glo.errors import UserError

__all__ = ["fill_cells"]

_UTF8_BOM = b"\xef\xbb\xbf"
_NEWLINE = re.compile(r"\r\n|\r|\n")


def fill_cells(
    content: bytes, form: CsvFormat, texts: Mapping[int, Mapping[int, str]], n: int
) -> bytes:
    """Replace cells of a .csv file.

    Args:
        content: bytes of the file.
        form: format of the file.
        texts: number of a row below the names, number of a column, and the new number as Python
            prints it.
        n: number of rows to keep, the first ones; the number of all keeps the end of the file.

    Example:
        >>> form = CsvFormat(
        ...     encoding="utf-8",
        ...     separator=";",
        ...     decimal=",",
        ...     thousands="",
        ...     missing=(),
        ...     names=("a", "b"),
        ...     has_names=True,
        ...     has_quotes=True,
        ... )
        >>> fill_cells(b'a; "b"\\r\\n"1";""\\n 3;4,50', form, {0: {1: "0.5"}}, 2)
        b'a; "b"\\r\\n"1";"0,5"\\n 3;4,50'
    """
    bom, codec = _codec(content)
    text = content[len(bom) :].decode(codec, "surrogatepass" if "16" in codec else "strict")
    record, cell = _patterns(form.separator)
    parts: list[str] = []
    row, place, written = (-1 if form.has_names else 0), 0, 0
    while place < len(text) and row < n:
        match = record.match(text, place)
        assert match is not None, "the pattern matches the empty string"
        start, end = match.span()
        if end > start:
            for span, new in _replacements(text, start, end, cell, texts.get(row, {}), form):
                parts += [text[written : span[0]], new]
                written = span[1]
            row += 1
        newline = _NEWLINE.match(text, end)
        place = newline.end() if newline else end
        if newline is None and end < len(text):
            raise _changed()
    if row < n:
        raise _changed()
    has_more = bool(text[place:].strip("\r\n"))
    parts.append(text[written : place if has_more else len(text)])
    return bom + "".join(parts).encode(codec, "surrogatepass" if "16" in codec else "strict")


def _codec(content: bytes) -> tuple[bytes, str]:
    """Return the byte order mark, and an encoding that restores all other bytes."""
    if content.startswith(b"\xff\xfe"):
        return content[:2], "utf-16-le"
    if content.startswith(b"\xfe\xff"):
        return content[:2], "utf-16-be"
    # Each byte is a character; separators, quotation marks and line ends are ASCII.
    return (_UTF8_BOM if content.startswith(_UTF8_BOM) else b""), "latin-1"


def _patterns(separator: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    sign = re.escape(separator)
    cell = rf'(?:"(?:[^"]|"")*+"[^{sign}\r\n]*+|[^{sign}\r\n]*+)'
    return re.compile(rf"{cell}(?:{sign}{cell})*+"), re.compile(cell)


def _replacements(
    text: str,
    start: int,
    end: int,
    cell: re.Pattern[str],
    texts: Mapping[int, str],
    form: CsvFormat,
) -> list[tuple[tuple[int, int], str]]:
    """Return the spans of cells in the record text[start:end], and the texts to put there."""
    result: list[tuple[tuple[int, int], str]] = []
    if not texts:
        return result
    column = 0
    while start <= end:
        match = cell.match(text, start, end)
        assert match is not None, "the pattern matches the empty string"
        if column in texts:
            result.append(_replacement(text, match.start(), match.end(), texts[column], form))
        column, start = column + 1, match.end() + 1
    if len(result) < len(texts):
        raise _changed()
    return result


def _replacement(
    text: str, start: int, end: int, number: str, form: CsvFormat
) -> tuple[tuple[int, int], str]:
    new, old = number.replace(".", form.decimal), text[start:end]
    if old[:1] == '"' and old.rstrip().endswith('"') and len(old.strip()) > 1:
        start, end = start + 1, start + len(old.rstrip()) - 1
    elif form.separator in new:
        new = f'"{new}"'
    blanks = len(text[start:end]) - len(text[start:end].lstrip())
    is_blank = start + blanks == end
    trailing = 0 if is_blank else end - start - len(text[start:end].rstrip())
    return (start + blanks, end - trailing), new


def _changed() -> UserError:
    return UserError("The table has changed since it was read; run the command again.")

"""Replacement of cells in a .csv file, which keeps all other bytes."""

import re
from collections.abc import Mapping

from glo.data.readers.csv_format import CsvFormat
from glo.errors import UserError

__all__ = ["fill_cells"]

# Byte order marks, and encodings that restore all other bytes: in latin-1 each byte is a character,
# and separators, quotation marks and line ends are ASCII.
_CODECS = {
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
    b"\xef\xbb\xbf": "latin-1",
    b"": "latin-1",
}


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
    bom = next((bom for bom in _CODECS if content.startswith(bom)), b"")
    codec = _CODECS[bom]
    text = content[len(bom) :].decode(codec, "surrogatepass" if "16" in codec else "strict")
    sign = re.escape(form.separator)
    cell = rf'"(?:[^"]|"")*+"[^{sign}\r\n]*+|[^{sign}\r\n]*+'
    parts: list[str] = []
    row, column, written = -int(form.has_names), 0, 0
    for match in re.finditer(rf"({cell})({sign}|\r\n|\r|\n|\Z)", text):
        is_last = match[2] != form.separator
        if is_last and column == 0 and not match[1]:
            continue  # a blank line
        number = texts.get(row, {}).get(column)
        if number is not None:
            start, end, new = _replacement(text, *match.span(1), number, form)
            parts += [text[written:start], new]
            written = end
        row, column = (row + 1, 0) if is_last else (row, column + 1)
        if row == n:
            rest = text[match.end() :]
            parts.append(text[written : match.end()] if rest.strip("\r\n") else text[written:])
            break
    if row < n or len(parts) != 1 + 2 * sum(map(len, texts.values())):
        raise UserError("The table has changed since it was read; run the command again.")
    return bom + "".join(parts).encode(codec, "surrogatepass" if "16" in codec else "strict")


def _replacement(
    text: str, start: int, end: int, number: str, form: CsvFormat
) -> tuple[int, int, str]:
    """Return the span of the blanks or the text in a cell, text[start:end], and its replacement."""
    new, old = number.replace(".", form.decimal), text[start:end]
    if old[:1] == '"' and old.rstrip().endswith('"') and len(old.strip()) > 1:
        start, end = start + 1, start + len(old.rstrip()) - 1
    elif form.separator in new:
        new = f'"{new}"'
    content = text[start:end]
    start += len(content) - len(content.lstrip())
    return start, max(start, end - len(content) + len(content.rstrip())), new

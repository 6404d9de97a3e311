"""The pages that people read, and the code and commands that are printed in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Code between fences: its language, its text, and the line of the page it begins on."""

    language: str
    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page in one language, as they stand there."""
    text = page.read_text("utf-8")
    return [
        Block(found[2], _set_out(found[3], len(found[1])), text[: found.start()].count("\n") + 2)
        for found in _FENCE.finditer(text)
        if found[2] == language
    ]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command line of a page, without comments."""
    for block in blocks(page, "sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


def _set_out(text: str, indent: int) -> str:
    return re.sub(rf"^ {{{indent}}}", "", text, flags=re.MULTILINE) if indent else text

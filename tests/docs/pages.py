"""The pages that people read, and the code and commands that are printed in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block that cannot be run here has the reason before it: <!-- not run: it publishes -->
_FENCE = re.compile(
    r"(?P<why>^<!-- not run: [^\n]+ -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """Code between fences: its language, its text, and the line of the page it begins on."""

    language: str
    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page in one language that can be run, as they stand there."""
    text = page.read_text("utf-8")
    return [
        Block(
            language,
            _set_out(found["text"], len(found["indent"])),
            text[: found.start("text")].count("\n") + 1,
        )
        for found in _FENCE.finditer(text)
        if found["language"] == language and not found["why"]
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

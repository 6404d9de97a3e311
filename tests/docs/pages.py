"""Pages of the documentation, with their code blocks and commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block excluded from the tests has a reason before it: <!-- not run: it publishes -->
_FENCE = re.compile(
    r"(?P<excluded>^<!-- not run: [^\n]+ -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """Fenced code block: language, text, and its first line in the page."""

    language: str
    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """Return the runnable blocks of a page in one language."""
    text = page.read_text("utf-8")
    return [
        Block(
            language,
            _dedented(found["text"], len(found["indent"])),
            text[: found.start("text")].count("\n") + 1,
        )
        for found in _FENCE.finditer(text)
        if found["language"] == language and not found["excluded"]
    ]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every command line of a page, without comments."""
    for block in blocks(page, "sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


def _dedented(text: str, indent: int) -> str:
    return re.sub(rf"^ {{{indent}}}", "", text, flags=re.MULTILINE) if indent else text

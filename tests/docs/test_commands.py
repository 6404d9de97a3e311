"""Commands in the pages parse, and scripts in the pages exist."""

import sys
from pathlib import Path

import pytest
from tests.docs.pages import NOTEBOOKS, PAGES, ROOT, commands

from glo.cli.app import app

LINES = [(page, words) for page in [*PAGES, *NOTEBOOKS] for words in commands(page)]
OURS = [(page, words) for page, words in LINES if words[0] == "glo"]
SCRIPTS = [
    (page, words)
    for page, words in LINES
    if words[0] == "python" and any(word.startswith("benchmarks") for word in words)
]


def test_pages_print_commands() -> None:
    assert len(OURS) > 50


@pytest.mark.parametrize(
    ("page", "words"), OURS, ids=lambda x: x.name if isinstance(x, Path) else " ".join(x)
)
def test_command_parses(page: Path, words: list[str]) -> None:
    app.parse_args(words[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("page", "words"),
    SCRIPTS,
    ids=lambda x: x.name if isinstance(x, Path) else " ".join(x),
)
def test_script_exists(page: Path, words: list[str]) -> None:
    name = words[2].replace(".", "/") if words[1] == "-m" else words[1]
    exists = any((ROOT / path).exists() for path in (name, f"{name}.py"))
    assert exists or name.split("/")[0] in sys.stdlib_module_names

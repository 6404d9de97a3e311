"""The troubleshooting page lists every finding, and its examples provoke them."""

import ast
import inspect
import re
import sys

import pytest
from tests.docs.pages import ROOT

from glo.training import diagnosis

PAGE = (ROOT / "docs" / "diagnosis.md").read_text("utf-8")


def names() -> set[str]:
    """Return the names of all findings in the source: `Finding(name="...")`."""
    calls = (node for node in ast.walk(ast.parse(inspect.getsource(diagnosis))) if is_finding(node))
    return {word.value.value for call in calls for word in call.keywords if word.arg == "name"}


def is_finding(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"


def test_every_finding_is_listed() -> None:
    shown = re.findall(r"^```\{glo-finding\} (\w+)$", PAGE, re.MULTILINE)
    assert len(names()) >= 7
    assert sorted(shown) == sorted(names())


def test_every_finding_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "_ext"), *sys.path])
    from glo_examples import examples

    found = examples()
    assert set(found) == names()
    # Referred to by the page.
    assert "code_grad_reduction" in found["frozen_codes"].sentence

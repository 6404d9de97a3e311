"""The troubleshooting page lists every finding, and its examples provoke them."""

import ast
import inspect
import re
import sys
from collections.abc import Callable

import pytest
import torch
from tests.docs.pages import ROOT

from glo.data import Dataset
from glo.training import diagnosis
from glo.training.loop import TrainingDiverged, train
from glo.training.state import TrainState

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
    # Quoted by the page.
    assert "divides each code's gradient by the batch size" in found["frozen_codes"].sentence


def test_message_of_divergence(
    begin: Callable[..., TrainState], blobs: Callable[..., Dataset]
) -> None:
    (quoted,) = re.findall(r"^> The loss or a gradient .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    words = " ".join(line.removeprefix("> ") for line in quoted.split("\n")).strip()
    pattern = re.escape(words).replace("…", ".+")
    samples = blobs(8)
    training = begin(samples, epochs=20)
    with torch.no_grad():
        next(training.decoder.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match=f"^{pattern}$"):
        for _ in train(training, samples):
            pass

"""A sentence can be shown, whatever it quotes."""

import pickle
from types import SimpleNamespace

import pytest

from glo.errors import UserError, UserTypeError, install_command, listed, printable, suggest


@pytest.mark.parametrize("text", ["\0" * 10_000, "x" * 10_000, "\x1b[2J\n", "caf\udce9", "é\u202e"])
def test_a_sentence_is_short_and_printable(text: str) -> None:
    said = str(UserError(f"It is {text}; give another."))
    assert said.isprintable()
    assert len(said) < 4200
    assert said.startswith("It is ")
    assert said.endswith("; give another.")


def test_usual_words_stay_as_they_are() -> None:
    assert printable("café 😀 \\ 'a'") == "café 😀 \\ 'a'"
    assert str(UserTypeError("größer")) == "größer"


def test_it_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(UserError("a\nb")))
    assert str(error) == "a\\nb"


def test_no_time_is_spent_on_endless_words() -> None:
    assert suggest("x" * 10**7, ["epochs"]) == ""


def test_an_empty_name_is_shown() -> None:
    assert listed(["", "mass"]) == "'', mass"


@pytest.mark.parametrize(
    ("about", "command"),
    [
        (None, "pip install 'glo-torch[onnx]'"),
        (
            '{"url": "file:///a%20b/glo", "dir_info": {"editable": true}}',
            "pip install -e '/a b/glo[onnx]'",
        ),
        (
            '{"url": "file:///glo.whl", "archive_info": {}}',
            "pip install 'glo-torch[onnx] @ file:///glo.whl'",
        ),
    ],
    ids=["index", "checkout", "wheel"],
)
def test_extras_are_installed_from_where_the_package_is(
    about: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = SimpleNamespace(read_text=lambda name: about)
    monkeypatch.setattr("glo.errors.distribution", lambda name: package)
    assert install_command("onnx") == command

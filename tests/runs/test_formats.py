"""Every step is taken once and in order; what is newer or edited is said in one sentence."""

from typing import Any

import pytest

from glo.errors import UserError
from glo.runs.formats import lift, newest


def first(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"path": [*values.get("path", []), "1 to 2"]}


def second(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"path": [*values.get("path", []), "2 to 3"]}


STEPS = [first, second]


@pytest.mark.parametrize(
    ("made", "path"), [(1, ["1 to 2", "2 to 3"]), (2, ["2 to 3"]), (3, [])], ids=str
)
def test_the_steps_from_a_format_to_the_newest(made: int, path: list[str]) -> None:
    values = {"format": made}
    assert lift(values, made, STEPS, where="x").get("path", []) == path
    assert values == {"format": made}


def test_the_newest_format_follows_the_steps() -> None:
    assert [newest(STEPS[:count]) for count in range(3)] == [1, 2, 3]


def test_a_newer_version_is_named() -> None:
    with pytest.raises(UserError, match=r"^x was made by a newer .* is 4, .* up to 3; install"):
        lift({}, 4, STEPS, where="x")


@pytest.mark.parametrize("made", [None, "1", 0, -1, True, 1.0], ids=repr)
def test_what_is_no_format(made: Any) -> None:
    with pytest.raises(UserError, match="which is no number; it was edited"):
        lift({}, made, STEPS, where="x")

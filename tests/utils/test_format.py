"""Durations round to their shortest unit."""

import pytest

from glo.utils.format import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3599, "59:59 min"), (3600, "1:00 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text

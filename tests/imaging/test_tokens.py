"""Design tokens: class colours that any colour vision tells apart, and readable text."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glo import imaging

CSS = (Path(imaging.__file__).parent / "tokens.css").read_text("utf-8")
THEMES = ("light", "dark")
# Simulations of complete colour blindness in linear RGB: Machado et al., 2009, table 1.
VISIONS = {
    "any": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
# OKLab: Ottosson, 2020.
LMS = np.array(
    [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]],
)
LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])


def colour(name: str, theme: str) -> NDArray[np.float64]:
    """Return a token as linear RGB, (3,)."""
    found = re.search(rf"--{name}: (?:light-dark\((#\w{{6}}), (#\w{{6}})\)|(#\w{{6}}))", CSS)
    assert found is not None, name
    text = found[3] or found[1 + THEMES.index(theme)]
    values = np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(text: str, ground: str, theme: str) -> float:
    """Return the contrast of two tokens by WCAG 2."""
    weights = [0.2126, 0.7152, 0.0722]
    low, high = sorted(float(colour(name, theme) @ weights) for name in (text, ground))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
def test_class_colours_differ(theme: str, vision: str) -> None:
    names = [*(f"c{i}" for i in range(10)), "stage"]
    rgb = np.stack([colour(name, theme) for name in names])
    seen = (rgb @ np.array(VISIONS[vision]).T).clip(0, 1)
    lab = np.cbrt(seen @ LMS.T) @ LAB.T
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distances[np.triu_indices(len(names), 1)].min() > (0.12 if vision == "any" else 0.08)


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable(theme: str) -> None:
    for ground in ("ground", "stage", "raised"):
        for text in ("ink", "quiet", "accent", "second"):
            assert contrast(text, ground, theme) >= 4.5, (text, ground)
    for text, ground in [("on-accent", "accent"), ("edge", "film"), ("on-film", "film")]:
        assert contrast(text, ground, theme) >= 4.5, (text, ground)

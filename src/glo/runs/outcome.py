"""What came out of a run, as summary.json says it."""

from pathlib import Path
from typing import Any

from glo.errors import UserError
from glo.utils.json_toml import read_json

__all__ = ["read_summary"]

_NUMBERS = ("mse", "explained_variance", "seconds", "images_per_second")
# Windows has no figure of the memory, vectors have no peak signal, and a run whose worst example
# was deleted has no worst error.
_PERHAPS = ("psnr", "worst_mse", "peak_memory_mb")
_BASELINES = ("mean_image", "pca")


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the figures of a finished run, or None where they are not there or damaged.

    What is returned has every figure that is shown, each of the kind that it must be.

    Args:
        folder: of the run.

    Example:
        >>> read_summary(Path("no/such/run")) is None
        True
    """
    try:
        values = read_json(folder / "summary.json")
    except (OSError, UserError):
        return None
    return values if isinstance(values, dict) and _is_whole(values) else None


def _is_whole(values: dict[str, Any]) -> bool:
    base, said, about = (values.get(name) for name in ("baselines", "diagnosis", "data"))
    if not (isinstance(base, dict) and isinstance(said, list) and isinstance(about, dict)):
        return False
    numbers = [values.get(name) for name in _NUMBERS] + [base.get(name) for name in _BASELINES]
    numbers += [values[name] for name in _PERHAPS if values.get(name) is not None]
    numbers.append(about.get("n"))
    if set(base) != set(_BASELINES) or not all(map(_is_number, numbers)):
        return False
    return not values["mse"] < 0 and all(isinstance(sentence, str) for sentence in said)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Table and sentences of an evaluation, for any page or terminal."""

from typing import Any

__all__ = ["figures", "half_figures", "sentences"]

_ABSENT = "-"
_ROWS = (
    ("MSE", ("mse",), ".5f"),
    ("PSNR (dB)", ("psnr",), ".2f"),
    ("SSIM", ("ssim",), ".4f"),
    ("FD", ("fd", "value"), ".3g"),
    ("KD", ("kd", "value"), ".3g"),
    ("precision", ("prdc", "precision"), ".3f"),
    ("recall", ("prdc", "recall"), ".3f"),
    ("density", ("prdc", "density"), ".3f"),
    ("coverage", ("prdc", "coverage"), ".3f"),
    ("near ratio", ("memorisation", "ratio"), ".3f"),
    ("C_T", ("memorisation", "copying"), "+.1f"),
    ("seconds", ("seconds",), ".1f"),
    ("per second", ("per_second",), ",.0f"),
)


def figures(values: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the figures as a table with one row per measure.

    Args:
        values: result of `evaluate`, or contents of evaluation.json.

    Returns:
        headings of the columns; and the rows that have a figure, each a label and its cells.

    Example:
        >>> figures({"training": {"n": 9, "mse": 0.25, "psnr": 12.04}, "heldout": None})
        (['training'], [('MSE', ['0.25000']), ('PSNR (dB)', ['12.04'])])
    """
    columns: dict[str, dict[str, Any]] = {}
    if "floor" in values:
        floor = values["floor"]
        distances = {name: {"value": floor[name]} for name in ("fd", "kd")}
        columns["floor"] = distances | {"prdc": floor["prdc"]}
    columns["training"] = values["training"] | values.get("reconstructions", {})
    if values["heldout"] is not None:
        columns["held-out"] = values["heldout"]
    return _table(columns | values.get("priors", {}))


def half_figures(values: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the figures of right halves as a table, as `figures` does; empty without them.

    Example:
        >>> half_figures({"halves": {"mse": 0.25, "nearest": {"mse": 0.5}}})
        (['right half', 'nearest'], [('MSE', ['0.25000', '0.50000'])])
    """
    if "halves" not in values:
        return [], []
    halves = values["halves"]
    return _table({"right half": halves, "nearest": halves["nearest"]})


def _table(columns: dict[str, dict[str, Any]]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    rows = [
        (label, [_cell(column, path, form) for column in columns.values()])
        for label, path, form in _ROWS
    ]
    return list(columns), [row for row in rows if any(cell != _ABSENT for cell in row[1])]


def sentences(values: dict[str, Any]) -> list[str]:
    """Return the conditions and caveats of the figures.

    Args:
        values: result of `evaluate`, or contents of evaluation.json.

    Example:
        >>> sentences({"heldout": None, "notes": []})
        ['Training: reconstructed from their own codes.']
    """
    searched = "" if values["heldout"] is None else " Held-out: from codes found by search."
    lines = [f"Training: reconstructed from their own codes.{searched}"]
    if "halves" in values:
        halves = values["halves"]
        rank = halves["rank_correlation"]
        lines.append(
            f"Right half: of {halves['n']:,} held-out images whose codes were found on the left "
            f"half, with error {halves['left_mse']:.5f} there"
            + ("" if rank is None else f" (rank correlation of the two errors {rank:.2f})")
            + "; nearest: that of the training image with the nearest left half."
        )
    if "features" in values:
        features = values["features"]
        lines.append(
            f"Features: {features['name']}, {features['dim']:,} numbers "
            f"({features['why'].rstrip('.')}). Everything is compared with {values['n']:,} "
            f"held-out examples; the floor is the figure of {values['n']:,} training examples in "
            f"the place of samples."
        )
    for name, prior in values.get("priors", {}).items():
        memorisation = prior["memorisation"]
        lines.append(f"{name}, in {memorisation['features']}: {memorisation['sentence']}")
    return lines + [f"Warning: {note}" for note in values["notes"]]


def _cell(column: dict[str, Any], path: tuple[str, ...], form: str) -> str:
    value: Any = column
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return _ABSENT if value is None else format(value, form)

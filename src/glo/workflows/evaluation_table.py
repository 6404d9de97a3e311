"""The figures of an evaluation as a table and as sentences, for any page or terminal."""

from typing import Any

__all__ = ["figures", "sentences"]

_ABSENT = "-"
_ROWS = (
    ("MSE", ("mse",), ".5f"),
    ("PSNR (dB)", ("psnr",), ".2f"),
    ("SSIM", ("ssim",), ".4f"),
    ("FD", ("fd", "value"), ".3g"),
    ("KD", ("kd", "value"), ".3g"),
    ("precision", ("neighbours", "precision"), ".3f"),
    ("recall", ("neighbours", "recall"), ".3f"),
    ("density", ("neighbours", "density"), ".3f"),
    ("coverage", ("neighbours", "coverage"), ".3f"),
    ("near ratio", ("memorisation", "ratio"), ".3f"),
    ("C_T", ("memorisation", "copying"), "+.1f"),
    ("seconds", ("seconds",), ".1f"),
    ("per second", ("per_second",), ",.0f"),
)


def figures(values: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Lay the figures out: a column for each thing that was measured, a row for each measure.

    Args:
        values: of an `Evaluation`, or of evaluation.json.

    Returns:
        headings of the columns; and the rows that have a figure, each a label and its cells.

    Example:
        >>> figures({"training": {"n": 9, "mse": 0.25, "psnr": 12.04}, "heldout": None})
        (['training'], [('MSE', ['0.25000']), ('PSNR (dB)', ['12.04'])])
    """
    columns = _columns(values)
    rows = [
        (label, [_cell(column, path, form) for column in columns.values()])
        for label, path, form in _ROWS
    ]
    return list(columns), [row for row in rows if any(cell != _ABSENT for cell in row[1])]


def sentences(values: dict[str, Any]) -> list[str]:
    """Say what must be known to read the figures.

    Args:
        values: of an `Evaluation`, or of evaluation.json.

    Example:
        >>> sentences({"heldout": None, "notes": []})
        ['Training: reconstructed from their own codes.']
    """
    said = ["Training: reconstructed from their own codes. Held-out: from codes found by search."]
    if values["heldout"] is None:
        said = ["Training: reconstructed from their own codes."]
    if "features" in values:
        about = values["features"]
        said.append(
            f"Features: {about['name']}, {about['dim']:,} numbers ({about['why'].rstrip('.')}). "
            f"Everything is compared with {values['n']:,} held-out examples; the floor is what "
            f"{values['n']:,} training examples get in the place of samples."
        )
    for name, found in values.get("priors", {}).items():
        kept = found["memorisation"]
        said.append(f"{name}, in {kept['features']}: {kept['sentence']}")
    said += [f"Warning: {note}" for note in values["notes"]]
    return said


def _columns(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    columns: dict[str, dict[str, Any]] = {}
    if "floor" in values:
        floor = values["floor"]
        fd, kd = ({"value": floor[name]} for name in ("fd", "kd"))
        columns["floor"] = {"fd": fd, "kd": kd, "neighbours": floor["neighbours"]}
    columns["training"] = values["training"] | values.get("reconstructions", {})
    if values["heldout"] is not None:
        columns["held-out"] = values["heldout"]
    columns |= values.get("priors", {})
    return columns


def _cell(column: dict[str, Any], path: tuple[str, ...], form: str) -> str:
    value: Any = column
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return _ABSENT if value is None else format(value, form)

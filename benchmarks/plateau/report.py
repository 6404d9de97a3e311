"""Tables, figures and the page, from the results folder.

    python -m benchmarks.plateau --report --out benchmarks/plateau/results

writes table.md and table.json beside the results, docs/images/plateau-*.png, and docs/plateau.md
from `page.md.jinja`, which takes every figure in its text from the results.
"""

from pathlib import Path
from typing import Any

from benchmarks.plateau.cells import CELLS
from benchmarks.plateau.figures import write_figures
from benchmarks.plateau.results import Result, Results, read_results
from benchmarks.rows import write_json
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from glo.utils.files import write_text

__all__ = ["write_report"]

_HERE = Path(__file__).parent
_DOCS = _HERE.parents[1] / "docs"
_HEADS = ("cell", "what differs", "N", "training", "unseen", "explained", "code moved", "s", "said")


def write_report(folder: Path, docs: Path | None = None) -> None:
    """Write the report of the finished cells.

    Args:
        folder: of the results.
        docs: where the page and its images go; the documentation for the committed results, else
            the results folder.
    """
    results = read_results(folder)
    own = folder.resolve() == (_HERE / "results").resolve()
    docs = docs or (_DOCS if own else folder / "docs")
    write_text(folder / "table.md", _tables(results))
    write_json(folder / "table.json", {"rows": [_row(cell) for cell in results.cells.values()]})
    write_figures(results, docs / "images")
    write_text(docs / "plateau.md", _page(results))


def _tables(results: Results) -> str:
    groups = list(dict.fromkeys(cell.data["group"] for cell in results.cells.values()))
    parts = [f"## {group}\n\n{_table(results.of(group))}" for group in groups]
    missing = [cell.name for cell in CELLS if cell.name not in results.cells]
    if missing:
        parts.append(f"Not made yet: {', '.join(missing)}.\n")
    return "\n".join(parts)


def _table(cells: list[Result]) -> str:
    lines = [f"| {' | '.join(_HEADS)} |", "|" + " --- |" * len(_HEADS)]
    for cell in cells:
        row = _row(cell)
        shown = [
            cell.name,
            row["about"],
            f"{row['n']:,}",
            _number(row["train"]),
            _number(row["unseen"]),
            "" if row["explained"] is None else f"{100 * row['explained']:.0f} %",
            "" if row["travel"] is None else f"{row['travel']:.2g}",
            f"{row['seconds'].get('cpu', row['seconds'].get('wall', 0)):.0f}",
            ", ".join(row["findings"]) or row["stopped"],
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _row(cell: Result) -> dict[str, Any]:
    data = cell.data
    train = data["train"]
    kept = ("name", "group", "about", "n", "divide", "seed", "train", "unseen", "unseen_error")
    return {name: data.get(name) for name in kept} | {
        "explained": None if train is None else round(1 - train / data["mean_image"], 4),
        "travel": cell.last.get("code_travel"),
        "steps": data["steps"],
        "seconds": data["seconds"],
        "findings": data["findings"],
        "stopped": data["stopped"],
    }


def _page(results: Results) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.md.jinja")
    return template.render(
        train=lambda name: _number(_value(results, name, "train")),
        unseen=lambda name: _number(_value(results, name, "unseen")),
        epoch=lambda name, place, what: _epoch(results, name, place, what),
        table=lambda names: _short_table(results, names),
        lowest=lambda *starts: _number(min(_begun(results, starts))),
        highest=lambda *starts: _number(max(_begun(results, starts))),
        base=results.baselines,
        got=results.get,
        spread=lambda name: _spread(results, name),
        count=sum(cell.name in results.cells for cell in CELLS),
        planned=len(CELLS),
        missing=_missing(results),
        made=lambda names: sum(name in results.cells for name in names),
        made_of=lambda group: len(results.of(group)),
        minutes=_minutes(results),
        number=_number,
    )


def _missing(results: Results) -> dict[str, int]:
    """Return the number of missing cells per group."""
    groups = [cell.group for cell in CELLS if cell.name not in results.cells]
    return {group: groups.count(group) for group in dict.fromkeys(groups)}


def _value(results: Results, name: str, kind: str) -> float | None:
    cell = results.get(name)
    return None if cell is None else getattr(cell, kind)


def _begun(results: Results, starts: tuple[str, ...]) -> list[float]:
    """Return the training errors of grid cells by prefix of their names."""
    return [cell.train for cell in results.of("grid") if cell.name.startswith(starts)]


def _number(value: float | None) -> str:
    """Format an error; a dash for a missing cell."""
    if value is None:
        return "–"
    return "diverged" if value == float("inf") else f"{value:.3f}"


def _epoch(results: Results, name: str, place: int, what: str) -> str:
    cell = results.get(name)
    if cell is None or len(cell.data["epochs"]) < abs(place):
        return "–"
    return f"{cell.data['epochs'][place][what]:.2g}"


def _spread(results: Results, name: str) -> str:
    """Return the training and unseen errors of all seeds of a cell, as two cells of a table."""
    cells = [c for key, c in results.cells.items() if key == name or key.startswith(f"{name}-seed")]
    if not cells:
        return "–"
    kinds = ([c.train for c in cells], [c.unseen for c in cells])
    return " | ".join(f"{min(v):.4f} to {max(v):.4f}" for v in kinds)


def _short_table(results: Results, names: dict[str, str]) -> str:
    lines = ["| what | training | unseen |", "| --- | --- | --- |"]
    for name, text in names.items():
        train, unseen = (_number(_value(results, name, kind)) for kind in ("train", "unseen"))
        lines.append(f"| {text} | {train} | {unseen} |")
    return "\n".join(lines)


def _minutes(results: Results) -> int:
    spent = [cell.data["seconds"] for cell in results.cells.values()]
    return round(sum(each.get("cpu", 0.0) for each in spent) / 60)

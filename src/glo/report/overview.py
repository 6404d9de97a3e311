"""The parts of a report that are words and figures: headline, diagnosis, evaluation, recipe."""

import shlex
from typing import Any

from glo.config.presets import PRESETS
from glo.config.settings import Settings
from glo.report.blocks import Section, Table, Tile
from glo.report.context import ReportContext
from glo.runs.run import Run
from glo.utils.format import format_duration
from glo.workflows.evaluation_table import figures, sentences

__all__ = ["command", "diagnosis", "evaluation", "headline", "recipe"]


def headline(material: ReportContext) -> tuple[Tile, ...]:
    """Return the figures that a reader looks for first."""
    run, summary = material.run, material.summary
    shape = " × ".join(map(str, run.data.shape))
    size = [
        Tile(name="Examples", value=f"{run.data.n:,}", note=f"{run.data.name}, {shape}"),
        Tile(
            name="Code size",
            value=f"{run.settings.code_dim}",
            note=f"numbers, {run.settings.constraint}",
        ),
    ]
    if not summary:
        step = run.checkpoint.step
        return (*size, Tile(name="Not finished", value=f"step {step:,}", note="so far"))
    return (*_quality(summary), *size, *_cost(summary))


def _quality(summary: dict[str, Any]) -> list[Tile]:
    base, explained = summary["baselines"], summary["explained_variance"]
    pca = 1 - base["pca"] / base["mean_image"] if base["mean_image"] > 0 else 1.0
    tiles = [
        Tile(
            name="Explained",
            value=f"{100 * explained:.1f} %",
            note=f"of the variance; PCA of the same size {100 * pca:.1f}\u00a0%",
        ),
        Tile(
            name="Squared error",
            value=f"{summary['mse']:.4f}",
            note=f"mean image {base['mean_image']:.4f}, PCA {base['pca']:.4f}",
        ),
    ]
    if summary.get("psnr") is not None:
        worst = _worst(summary.get("worst_mse"))
        tiles.append(Tile(name="PSNR", value=f"{summary['psnr']:.1f} dB", note=worst))
    return tiles


def _worst(error: float | None) -> str:
    return "" if error is None else f"worst example: error {error:.4f}"


def _cost(summary: dict[str, Any]) -> list[Tile]:
    return [
        Tile(
            name="Time",
            value=format_duration(summary["seconds"]),
            note=f"{summary['images_per_second']:,.0f} examples a second",
        ),
        Tile(name="Memory", value=f"{summary['peak_memory_mb']:,.0f} MiB", note="at most"),
    ]


def diagnosis(material: ReportContext) -> Section:
    """Say in words what is wrong with a run, or that nothing is."""
    title, anchor = "Diagnosis", "diagnosis"
    if not material.finished:
        text = (
            f"This run is not finished: it is at step {material.run.checkpoint.step:,}. The "
            f"command that began it goes on with it; what follows shows how far it is."
        )
        return Section(anchor=anchor, title=title, text=(text,))
    found = material.summary.get("diagnosis") or ["Nothing was found wrong."]
    notes = material.run.checkpoint.notes
    return Section(anchor=anchor, title=title, text=(*map(str, found), *notes))


def evaluation(material: ReportContext) -> Section | None:
    """Return the table of the last `glo evaluate`, or None where there was none."""
    values = material.evaluation
    if values is None:
        return None
    try:
        headings, rows = figures(values)
        said = sentences(values)
    except (AttributeError, KeyError, TypeError, ValueError):
        said, headings, rows = ["evaluation.json cannot be read; run glo evaluate again."], [], []
    table = Table(headings=tuple(headings), rows=tuple((name, tuple(row)) for name, row in rows))
    return Section(
        anchor="evaluation",
        title="Evaluation",
        text=("Measured by glo evaluate against examples that the run never saw.", *said),
        items=(table,) if rows else (),
    )


def recipe(material: ReportContext) -> Section:
    """Return the settings, and the command that makes such a run."""
    run = material.run
    values = tuple((name, (_word(value),)) for name, value in vars(run.settings).items())
    shape = " × ".join(map(str, run.data.shape))
    about = {**run.data.to_dict(), "shape": shape, "changes": run.data.history}
    facts = tuple((name, (str(value),)) for name, value in about.items() if value)
    made = command(run)
    text = "It was made by this command:" if made else "It was made from Python."
    since = f"Rows have changed since the training: {run.data.history}."
    return Section(
        anchor="recipe",
        title="How it was made",
        text=(text, since) if run.data.changes else (text,),
        code=made,
        items=(
            Table(headings=("value",), rows=values, folded="All settings"),
            Table(headings=("value",), rows=facts, folded="The data"),
        ),
        columns=2,
    )


def command(run: Run) -> str:
    """Return the words of `glo train` that make such a run, or nothing if none do.

    Example:
        >>> from pathlib import Path
        >>> from glo.runs.data_record import DataRecord
        >>> data = DataRecord(source="mnist", name="mnist", n=9, shape=(1, 32, 32), fingerprint="")
        >>> settings = Settings(code_dim=8, shuffle=False)
        >>> command(Run(Path("runs/x"), settings=settings, data=data, preset="mnist"))
        'glo train mnist --out x --code-dim 8 --no-shuffle'
    """
    if run.preset not in PRESETS:
        return ""
    usual = Settings(**PRESETS[run.preset].settings)
    words = ["glo", "train", run.data.source, "--out", run.folder.resolve().name]
    words += [] if run.preset == "mnist" else ["--preset", run.preset]
    for name, value in vars(run.settings).items():
        if value != getattr(usual, name):
            words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{flag}", *map(str, values)]


def _word(value: Any) -> str:
    if value is None:
        return "unset"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

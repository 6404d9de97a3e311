"""Headline figures, and the sections of text and tables: diagnosis, evaluation, settings."""

import shlex
from typing import Any

from glo.config.presets import PRESETS
from glo.config.settings import Settings
from glo.report.blocks import Section, Table, Tile
from glo.report.context import ReportContext
from glo.runs.run import Run
from glo.utils.format import format_duration, format_size
from glo.workflows.evaluation_table import figures, sentences

__all__ = [
    "diagnosis_section",
    "evaluation_section",
    "headline",
    "settings_section",
    "train_command",
]


def headline(context: ReportContext) -> tuple[Tile, ...]:
    """Return the headline figures of a run: errors, size and cost."""
    run, summary = context.run, context.summary
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
    return (*_error_tiles(context), *size, *_cost_tiles(summary))


def _error_tiles(context: ReportContext) -> list[Tile]:
    summary = context.summary
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
            note=f"mean {context.noun} {base['mean_image']:.4f}, PCA {base['pca']:.4f}",
        ),
    ]
    if summary.get("psnr") is not None:
        worst = summary.get("worst_mse")
        note = "" if worst is None else f"worst example: error {worst:.4f}"
        tiles.append(Tile(name="PSNR", value=f"{summary['psnr']:.1f} dB", note=note))
    return tiles


def _cost_tiles(summary: dict[str, Any]) -> list[Tile]:
    speed = f"{summary['images_per_second']:,.0f} examples a second"
    tiles = [Tile(name="Time", value=format_duration(summary["seconds"]), note=speed)]
    if summary.get("peak_memory_mb") is not None:
        memory = format_size(summary["peak_memory_mb"] * 2**20)
        tiles.append(Tile(name="Memory", value=memory, note="at most"))
    return tiles


def diagnosis_section(context: ReportContext) -> Section:
    """Return the diagnosis of a run in sentences."""
    text: tuple[str, ...]
    if context.finished:
        findings = context.summary.get("diagnosis") or ["Nothing was found wrong."]
        text = (*findings, *context.run.checkpoint.notes)
    else:
        text = (
            f"This run is not finished: it is at step {context.run.checkpoint.step:,}. The "
            f"command that started it continues it; the sections below show its present state.",
        )
    return Section(text=text)


def evaluation_section(context: ReportContext) -> Section | None:
    """Return the table of the last `glo evaluate`, or None where there was none."""
    values = context.evaluation
    if values is None:
        return None
    try:
        headings, rows = figures(values)
        text = sentences(values)
    except (AttributeError, KeyError, TypeError, ValueError):
        text, headings, rows = ["evaluation.json cannot be read; run glo evaluate again."], [], []
    table = Table(headings=tuple(headings), rows=tuple((name, tuple(row)) for name, row in rows))
    return Section(
        text=("Measured by glo evaluate against examples that were not trained on.", *text),
        items=(table,) if rows else (),
    )


def settings_section(context: ReportContext) -> Section:
    """Return the settings, the data record, and the command that trains such a run."""
    run = context.run
    used = {name: value for name, value in vars(run.settings).items() if name != "features"}
    if "features" in run.settings.loss:
        used["features"] = run.settings.features
    values = tuple((name, (_cell(value),)) for name, value in used.items())
    shape = " × ".join(map(str, run.data.shape))
    record = {**run.data.to_dict(), "shape": shape, "changes": run.data.history}
    facts = tuple((name, (str(value),)) for name, value in record.items() if value)
    command = train_command(run)
    text = ["It was made by this command:" if command else "It was made from Python."]
    if run.data.changes:
        text.append(f"Rows have changed since the training: {run.data.history}.")
    return Section(
        text=tuple(text),
        code=command,
        items=(
            Table(headings=("value",), rows=values, folded="All settings"),
            Table(headings=("value",), rows=facts, folded="The data"),
        ),
        columns=2,
    )


def train_command(run: Run) -> str:
    """Return the `glo train` command of such a run, or an empty string if there is none."""
    if run.preset not in PRESETS:
        return ""
    defaults = Settings(**PRESETS[run.preset].settings)
    words = ["glo", "train", run.data.source, "--out", str(run.folder)]
    words += [] if run.preset == "mnist" else ["--preset", run.preset]
    for name, value in vars(run.settings).items():
        if value != getattr(defaults, name):
            words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{flag}", *map(str, values)]


def _cell(value: Any) -> str:
    if value is None:
        return "unset"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

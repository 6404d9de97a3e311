"""`glo info`: data, settings, state and figures of a run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from glo.errors import listed, printable
from glo.utils.format import format_duration, format_size

if TYPE_CHECKING:
    from glo.runs.run import Run

__all__ = ["info"]


def info(
    run: Path,
    /,
    *,
    row: str | None = None,
    as_json: Annotated[bool, Parameter("--json", negative="")] = False,
) -> int:
    """Print data, settings, state and figures of a run, or of one of its rows.

    Args:
        run: The run folder.
        row: Number or identity of a row: print its identity, label, error and length of the code.
        as_json: Print one JSON object.
    """
    from glo.runs.run import open_run

    opened = open_run(run)
    facts = _facts(opened) if row is None else _row(opened, row)
    lines = (
        _lines(facts)
        if row is None
        else [f"{k:<12} {v}" for k, v in facts.items() if v is not None]
    )
    # A stranger's run may have terminal control characters in its texts.
    print(json.dumps(facts, indent=2) if as_json else "\n".join(map(printable, lines)))
    return 0


def _facts(run: "Run") -> dict[str, Any]:
    checkpoint, ids = run.checkpoint, run.row_ids
    return {
        "folder": str(run.folder),
        "preset": run.preset,
        "data": run.data.to_dict(),
        "data_notes": list(run.notes),
        "ids": None if ids.ids is None else [ids.of(0), ids.of(ids.n - 1)],
        "settings": run.settings.to_dict(),
        "step": checkpoint.step,
        "finished": checkpoint.finished and run.summary is not None,
        "notes": list(checkpoint.notes),
        "summary": run.summary,
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    data, settings, summary = facts["data"], facts["settings"], facts["summary"]
    shape = " x ".join(map(str, data["shape"]))
    lines = [
        f"run          {facts['folder']}",
        f"data         {data['name']}: {data['n']:,} examples of {shape}, from {data['source']}",
        f"recipe       {_recipe(facts)}",
        f"codes        {settings['code_dim']} numbers each, {settings['constraint']}",
        f"state        step {facts['step']:,}, "
        + ("finished" if facts["finished"] else "not finished: the same command continues it"),
    ]
    changes = [f"{change['n']:,} {change['kind']}" for change in data.get("changes", ())]
    lines += [f"rows         {', '.join(changes)} since the training"] if changes else []
    ids = facts["ids"]
    lines += [f"identities   {ids[0]} to {ids[-1]}"] if ids else []
    lines += [f"note         {note}" for note in facts["data_notes"]]
    lines += [f"warning      {note}" for note in facts["notes"]]
    if facts["finished"]:
        base, peak = summary["baselines"], summary.get("peak_memory_mb")
        noun = "image" if len(data["shape"]) == 3 else "example"
        memory = "" if peak is None else f", at most {format_size(peak * 2**20)}"
        lines += [
            f"error        mse {summary['mse']:.4f}, mean {noun} {base['mean_image']:.4f}, "
            f"PCA {base['pca']:.4f}",
            f"explained    {100 * summary['explained_variance']:.1f} % of the variance",
            f"time         {format_duration(summary['seconds'])}, "
            f"{summary['images_per_second']:,.0f} {noun}s/s{memory}",
        ]
        diagnosis = summary["diagnosis"] or ["healthy"]
        lines += [f"diagnosis    {sentence}" for sentence in diagnosis]
    return lines


def _recipe(facts: dict[str, Any]) -> str:
    """Return the preset of a run and what was set beside it."""
    from glo.config.presets import PRESETS
    from glo.config.settings import Settings

    preset = facts["preset"]
    defaults = Settings(**PRESETS[preset].settings if preset in PRESETS else {}).to_dict()
    changed = [
        f"{name} {value}"
        for name, value in facts["settings"].items()
        if value != defaults.get(name)
    ]
    base = "defaults" if preset in ("mnist", "python") else f"preset {preset}"
    return f"{base}, with {listed(changed)}" if changed else base


def _row(run: "Run", text: str) -> dict[str, Any]:
    row = run.row_ids.find(text)
    label = -1 if run.labels is None else int(run.labels[row])
    return {
        "row": row,
        "id": run.row_ids.of(row),
        "label": run.label_names[label] if label >= 0 else None,
        "error": None if run.errors is None else float(run.errors[row]),
        "code_norm": float(run.codes[row].norm()),
    }

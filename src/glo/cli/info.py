"""`glo info`: data, settings, state and figures of a run."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from glo.errors import printable

__all__ = ["info"]


def info(
    run: Path, /, *, as_json: Annotated[bool, Parameter("--json", negative="")] = False
) -> int:
    """Print data, settings, state and figures of a run.

    Args:
        run: The run folder.
        as_json: Print one JSON object.
    """
    from glo.runs.run import open_run

    opened = open_run(run)
    checkpoint = opened.checkpoint
    facts: dict[str, Any] = {
        "folder": str(run),
        "preset": opened.preset,
        "data": opened.data.to_dict(),
        "settings": opened.settings.to_dict(),
        "step": checkpoint.step,
        "finished": checkpoint.finished and opened.summary is not None,
        "notes": list(checkpoint.notes),
        "summary": opened.summary,
    }
    print(json.dumps(facts, indent=2) if as_json else _text(facts))
    return 0


def _text(facts: dict[str, Any]) -> str:
    data, settings, summary = facts["data"], facts["settings"], facts["summary"]
    shape = " x ".join(map(str, data["shape"]))
    lines = [
        f"run          {facts['folder']} (preset {facts['preset']})",
        f"data         {data['name']}: {data['n']:,} examples of {shape}, from {data['source']}",
        f"codes        {settings['code_dim']} numbers each, {settings['constraint']}",
        f"state        step {facts['step']:,}, "
        + ("finished" if facts["finished"] else "not finished: the same command continues it"),
    ]
    changes = [f"{change['n']:,} {change['kind']}" for change in data.get("changes", ())]
    lines += [f"rows         {', '.join(changes)} since the training"] if changes else []
    lines += [f"warning      {note}" for note in facts["notes"]]
    if facts["finished"]:
        base, peak = summary["baselines"], summary.get("peak_memory_mb")
        noun = "image" if len(data["shape"]) == 3 else "example"
        memory = "" if peak is None else f", at most {peak:,.0f} MB"
        lines += [
            f"error        mse {summary['mse']:.4f}, mean {noun} {base['mean_image']:.4f}, "
            f"PCA {base['pca']:.4f}",
            f"explained    {100 * summary['explained_variance']:.1f} % of the variance",
            f"time         {summary['seconds']:.0f} s, "
            f"{summary['images_per_second']:,.0f} images/s{memory}",
        ]
        diagnosis = summary["diagnosis"] or ["healthy"]
        lines += [f"diagnosis    {sentence}" for sentence in diagnosis]
    # A stranger's run may have terminal control characters in its texts.
    return "\n".join(map(printable, lines))

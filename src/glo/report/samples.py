"""Sections of new images: samples of every prior, and the nearest training examples of some."""

import torch

from glo.latents.neighbours import neighbours
from glo.report.blocks import Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet

__all__ = ["nearest_section", "samples_section"]

_SAMPLES, _COLUMNS = 64, 8
_QUERIES, _NEIGHBOURS = 8, 6


def samples_section(context: ReportContext) -> Section | None:
    """Draw samples of every fitted prior; None where there is none."""
    if not context.priors and not context.missing_priors:
        return None
    seed, default = context.run.settings.seed, context.run.prior_name
    pictures = [
        sheet(
            context.decode(prior.sample(_SAMPLES, seed=seed)),
            columns=_COLUMNS,
            alt=f"{_SAMPLES} new examples from the {prior.name} prior",
            caption=f"{prior.name}{', the prior of this run' if prior.name == default else ''}",
        )
        for prior in context.priors
    ]
    return Section(
        text=(
            f"New examples, decoded from samples of each fitted prior, seed {seed}.",
            *context.missing_priors,
        ),
        items=tuple(pictures),
        columns=2,
    )


def nearest_section(context: ReportContext) -> Section | None:
    """Draw samples beside the training examples with the nearest codes."""
    if not context.priors:
        return None
    run, prior = context.run, context.priors[0]
    codes = prior.sample(_QUERIES, seed=run.settings.seed)
    lines, distances, names = [], [], []
    for code, image in zip(codes, context.decode(codes), strict=True):
        rows, distance = neighbours(run.codes, code, _NEIGHBOURS)
        lines.append(torch.cat([image.unsqueeze(0), context.examples(rows)]))
        distances.append(float(distance[0]))
        names.append(run.row_ids.describe(rows.tolist()))
    kind = "training examples" if context.dataset is not None else "reconstructions of those"
    text = (
        f"First in each line: a sample of the {prior.name} prior. After it the {kind} with the "
        f"nearest codes, the nearest first. A sample that equals one of them would be a copy. "
        f"The distance of the nearest code is {min(distances):.2f} to {max(distances):.2f}."
    )
    alt = "In each line a sample, then the training examples with the nearest codes"
    half = len(lines) // 2
    return Section(
        text=(text,),
        items=tuple(
            sheet(
                torch.cat(lines[part]),
                columns=len(lines[0]),
                alt=alt,
                caption="; ".join(names[part]),
                indent=True,
            )
            for part in (slice(half), slice(half, None))
        ),
        columns=2,
    )

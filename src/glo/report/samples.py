"""New images: samples of every prior, and the training examples nearest to some of them."""

import torch
from torch import Tensor

from glo.latents.neighbours import neighbours
from glo.report.blocks import Picture, Section
from glo.report.context import ReportContext
from glo.report.sheets import sheet

__all__ = ["nearest", "samples"]

_SAMPLES, _COLUMNS = 64, 8
_LOOKED_UP, _NEIGHBOURS = 8, 6


def samples(material: ReportContext) -> Section | None:
    """Show samples of every prior that is fitted, or None where there is none."""
    if not material.priors and not material.left_out:
        return None
    settings, own, items = material.run.settings, material.run.prior_name, []
    for prior in material.priors:
        picture = sheet(
            material.decoded(prior.sample(_SAMPLES, seed=settings.seed)),
            columns=_COLUMNS,
            alt=f"{_SAMPLES} new examples from the {prior.name} prior",
            caption=f"{prior.name}{', the prior of this run' if prior.name == own else ''}",
        )
        items.append(picture)
    text = f"New examples: codes drawn from each density that is fitted, seed {settings.seed}."
    return Section(
        anchor="samples",
        title="Samples",
        text=(text, *material.left_out),
        items=tuple(items),
        columns=2,
    )


def nearest(material: ReportContext) -> Section | None:
    """Show samples beside the training examples with the nearest codes."""
    if not material.priors:
        return None
    run, prior = material.run, material.priors[0]
    drawn = prior.sample(_LOOKED_UP, seed=run.settings.seed)
    found = [neighbours(run.codes, code, _NEIGHBOURS) for code in drawn]
    lines = [
        torch.cat([image.unsqueeze(0), material.examples(rows)])
        for image, (rows, _) in zip(material.decoded(drawn), found, strict=True)
    ]
    half = len(lines) // 2
    return Section(
        anchor="neighbours",
        title="Nearest training examples of samples",
        text=(_explained(material, prior.name, torch.stack([far[0] for _, far in found])),),
        items=(_sheet(lines[:half]), _sheet(lines[half:])),
        columns=2,
    )


def _explained(material: ReportContext, prior: str, distances: Tensor) -> str:
    near, far = float(distances.min()), float(distances.max())
    what = "training examples" if material.samples is not None else "reconstructions of those"
    return (
        f"First in each line, set apart: a sample of the {prior} prior. After it the {what} whose "
        f"codes lie nearest, the nearest first. A sample that equals one of them would be a copy. "
        f"The nearest code is {near:.2f} to {far:.2f} away."
    )


def _sheet(lines: list[Tensor]) -> Picture:
    alt = "In each line a sample, then the training examples with the nearest codes"
    return sheet(torch.cat(lines), columns=len(lines[0]), alt=alt, apart=True)

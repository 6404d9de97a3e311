"""Samplers: densities fitted to the codes of any model within what is left of its budget.

A model leaves to its samplers the seconds of the costliest one, at most a third of the budget. What
a prior of the package costs is measured once per data set, on principal components of the training
images: codes of all models have the same number and length; it is scaled by the machine's pace. A
fit that would take longer than the
time left makes fewer updates; if its first stage, the mixture of flow matching, would take more
than half of that time, the mixture has fewer components. So the priors of all models make nearly
the same updates at a budget.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from benchmarks.compare.budget import Stopwatch, pace
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.mixture import fit_mixture
from benchmarks.compare.problem import Problem
from benchmarks.rows import write_json
from torch import Tensor

from glo.config.settings import Settings
from glo.latents.constraints import project
from glo.latents.init import pca_codes
from glo.priors import Prior, build_prior
from glo.training.factory import prior_config
from glo.utils.random import normal

__all__ = ["Drawn", "draw", "reserved_seconds"]

# The largest share of a budget that is reserved for samplers.
_SHARE = 1 / 3
# What a prior may call the length of its fit.
_LENGTHS = ("steps", "passes")
_MARGIN = 0.95
# A prior's cost is extrapolated after this many CPU seconds, and from so many marks at least.
_PATIENCE, _MARKS = 20.0, 2
# The components of flow matching by default: one per 200 codes, at most 256.
_ROWS_PER_COMPONENT, _MAX_COMPONENTS = 200, 256


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Codes drawn by a sampler.

    Args:
        codes: (n, D).
        fitting: CPU and wall seconds of the fit.
        drawing: the same of drawing.
        notes: sentences for the reader.
    """

    codes: Tensor
    fitting: dict[str, float]
    drawing: dict[str, float]
    notes: tuple[str, ...] = ()


def reserved_seconds(problem: Problem, samplers: Sequence[str]) -> float:
    """Return the CPU seconds that training leaves to the costliest of some samplers."""
    # Mixtures of the study stop by the clock, and are content with what is left.
    costs = [sum(_cost(problem, name)) for name in samplers if _is_prior(name)]
    return min(max(costs, default=0.0), _SHARE * problem.seconds)


def draw(problem: Problem, model: LatentModel, sampler: str) -> Drawn:
    """Fit a sampler to the codes of a model in the time left, and draw codes.

    Args:
        problem: the task.
        model: the trained model.
        sampler: "normal" (N(0, I), nothing is fitted), "joint" (the mixture that was learned with
            the codes), "mixture-K" (K Gaussians by scikit-learn), or a prior of the package.
    """
    left = problem.seconds - model.training["cpu"]
    n, seed, dim = problem.n_samples, problem.seed, model.codes.shape[1]
    fitting, notes = Stopwatch(), ()
    if sampler == "normal":
        spent, drawing = fitting.read(), Stopwatch()
        codes = normal(seed, 0, n, dim, stream="samples")
    elif sampler.startswith("mixture-"):
        count = int(sampler.removeprefix("mixture-"))
        mixture, text = fit_mixture(model.codes, count, seconds=left, seed=seed)
        spent, drawing, notes = fitting.read(), Stopwatch(), (text,)
        codes = torch.from_numpy(mixture.sample(n)[0]).float()
        # A mixture hands its samples out one component after another.
        codes = codes[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    else:
        if sampler == "joint":
            assert model.prior is not None, "a mixture was learned with the codes"
            prior = model.prior
        else:
            prior, notes = _affordable(problem, sampler, left)
            prior.fit(model.codes, seed=seed)
        spent, drawing = fitting.read(), Stopwatch()
        codes = prior.sample(n, seed=seed)
    codes = project(codes, model.constraint)
    return Drawn(codes=codes, fitting=spent, drawing=drawing.read(), notes=notes)


def _is_prior(sampler: str) -> bool:
    return sampler not in ("normal", "joint") and not sampler.startswith("mixture-")


def _config(problem: Problem, name: str) -> dict[str, Any]:
    # "free": the model's own constraint is applied to what is drawn.
    config = prior_config(name, Settings(), len(problem.train)) | {"constraint": "free"}
    return build_prior(name, **config).config


def _affordable(problem: Problem, name: str, left: float) -> tuple[Prior, tuple[str, ...]]:
    """Return a prior whose fit is expected to take `left` CPU seconds at most, and notes."""
    config, notes = _config(problem, name), []
    fixed, variable = _cost(problem, name)
    length = next((key for key in _LENGTHS if key in config), None)
    if length is None or fixed + variable <= left:
        return build_prior(name, **config), ()
    left = max(_MARGIN * left, 1.0)
    if fixed > left / 2 and "components" in config:
        whole = max(1, min(len(problem.train) // _ROWS_PER_COMPONENT, _MAX_COMPONENTS))
        config["components"] = max(1, int(whole * left / 2 / fixed))
        notes.append(f"components cut from {whole} to {config['components']} by the budget")
        fixed = left / 2
    most = config[length]
    config[length] = min(most, max(1, int((left - fixed) / variable * most)))
    notes.append(f"{length} cut from {most:,} to {config[length]:,} by the budget")
    return build_prior(name, **config), tuple(notes)


def _cost(problem: Problem, name: str) -> tuple[float, float]:
    """Return the CPU seconds of a fit: a fixed part, and one proportional to its length."""
    path = problem.shared / "models" / f"fit-seconds-{len(problem.train)}.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if name not in known:
        known[name] = _measured_cost(problem, name)
        write_json(path, known)
    fixed, variable, measured_at = known[name]
    scale = pace() / measured_at
    return scale * fixed, scale * variable


def _measured_cost(problem: Problem, name: str) -> tuple[float, float, float]:
    codes = pca_codes(problem.train, problem.code_dim, seed=problem.seed)
    prior = build_prior(name, **_config(problem, name))
    watch, marks = Stopwatch(), []
    for share in prior.fit_iter(codes, seed=problem.seed):
        marks.append((watch.cpu, share))
        if len(marks) >= _MARKS and watch.cpu > _PATIENCE:
            break
    (begin, first), (end, last) = marks[0], marks[-1]
    variable = (end - begin) / (last - first) if last > first else 0.0
    return max(0.0, end - last * variable), variable, pace()

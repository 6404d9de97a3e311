"""GLO and a GLANN-style run by the package's training loop, with each prior.

What is trained is the library's recipe; only its length is set by the clock. The schedule needs the
number of steps, which nobody knows while the clock runs, so `Timed` reckons it anew at each step
from the share of the budget used: rates fall along the cosine over CPU seconds, as those of the
autoencoders do. Before that, the time to reserve for code refinement and for the costliest prior is
measured: a few batches of refinement, and the first seconds of each prior on principal components.
Priors may keep a third of the budget at most; one that would take longer is cut to what is left.
"""

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.problem import Made, Problem, write_atomically
from benchmarks.plateau.dense import DenseAdam
from torch import Tensor

from glo.config.settings import Settings
from glo.decoders.decode import decode
from glo.latents.init import PCA, fit_pca, pca_codes
from glo.losses import parse_loss
from glo.priors import Prior, build_prior
from glo.runs.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from glo.training.loop import train
from glo.training.refine import recompute_batchnorm_stats, refine_codes
from glo.training.state import TrainState, init_train_state

__all__ = ["RECIPES", "Timed", "make_glo"]


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    settings: dict[str, Any]
    priors: tuple[str, ...]
    dense: bool = False


RECIPES: dict[str, _Recipe] = {
    "glo": _Recipe(
        settings={},
        priors=("gaussian", "mixture", "flow-matching", "normalizing-flow", "imle"),
    ),
    # GLANN's first stage (Hoshen, Li and Malik, CVPR 2019): random codes on the sphere, L1, Adam
    # for both, and no code refinement. Its Adam is dense: every code moves at every step.
    "glann": _Recipe(
        settings={
            "init": "gaussian",
            "constraint": "sphere",
            "loss": "l1",
            "decoder_optimizer": "adam",
            "decoder_lr": 1e-3,
            "code_lr": 1e-2,
            "code_betas": (0.5, 0.999),
            "refine_passes": 0,
        },
        priors=("imle",),
        dense=True,
    ),
}

# Largest shares of the budget reserved for code refinement and for the priors.
_POLISH_SHARE = 0.15
_PRIOR_SHARE = 1 / 3
# A prior's cost is extrapolated once this share of the budget went into measuring it.
_PATIENCE = 0.1
_MEASURED = 4
# What a prior may call the length of its fit, which is cut where the budget asks for it.
_LENGTHS = ("steps", "passes", "epochs")
_MARGIN = 0.95


class Timed(TrainState):  # type: ignore[misc]
    """Training limited by CPU seconds."""

    def start_clock(self, watch: Stopwatch, seconds: float) -> None:
        self._watch, self._seconds = watch, seconds

    @property
    def total_steps(self) -> int:
        """Estimated number of updates of the run, from the duration of previous ones."""
        share = self._watch.share(self._seconds)
        return max(self.step, round(self.step / share)) if self.step else 10**9


def make_glo(problem: Problem, recipe: str, prior_name: str) -> Made:
    """Train or load a run, fit one prior to its codes, and draw samples.

    Args:
        problem: the task.
        recipe: "glo" or "glann".
        prior_name: one of the library's priors.
    """
    checkpoint = _trained(problem, recipe)
    decoder, codes, facts = checkpoint.decoder(), checkpoint.codes(), checkpoint.facts
    settings = _settings(problem, recipe)
    expected = _prior_seconds(problem, settings, codes, prior_name)
    left = problem.seconds - facts["training"]["cpu"]
    prior, notes = _as_long(build_prior(prior_name, constraint=settings.constraint), expected, left)
    fitting = Stopwatch()
    prior.fit(codes, seed=problem.seed)
    fitted = fitting.read()
    drawing = Stopwatch()
    drawn = prior.sample(problem.n_samples, seed=problem.seed)
    seconds = drawing.cpu
    return Made(
        samples=decode(decoder, drawn, settings.precision),
        rebuilt=decode(decoder, codes[problem.rebuilt_rows], settings.precision),
        training=facts["training"],
        fitting=fitted,
        steps=checkpoint.step,
        notes=(f"{facts['plan']['passes']} passes of code refinement", *notes),
        facts={"plan": facts["plan"], "drawing_cpu": round(seconds, 2)},
    )


def _as_long(prior: Prior, expected: float, left: float) -> tuple[Prior, tuple[str, ...]]:
    """Return the prior, with its fit shortened to the remaining time, and a note if it was."""
    config = prior.config
    name = next((name for name in _LENGTHS if isinstance(config.get(name), int)), None)
    if name is None or expected <= left:
        return prior, ()
    length = max(1, int(_MARGIN * left / expected * config[name]))
    said = f"{name} cut from {config[name]} to {length} by the budget"
    return type(prior)(**(config | {name: length})), (said,)


def _settings(problem: Problem, recipe: str, **more: Any) -> Settings:
    common: dict[str, Any] = {
        "code_dim": problem.code_dim,
        "width": problem.width,
        "batch_size": problem.batch,
        "seed": problem.seed,
        "device": "cpu",
    }
    return Settings(**(common | RECIPES[recipe].settings | more))


def _trained(problem: Problem, recipe: str) -> Checkpoint:
    root = problem.folder / "models" / recipe
    if not root.is_dir():
        _train(problem, recipe)
    checkpoint = newest_checkpoint(root)
    assert checkpoint is not None, "training leaves a checkpoint"
    return checkpoint


def _train(problem: Problem, recipe: str) -> None:
    settings, samples = _settings(problem, recipe), problem.train
    watch = Stopwatch()
    pca = fit_pca(samples, problem.code_dim, seed=problem.seed)
    started = init_train_state(samples, settings, pca)
    spent = watch.cpu
    plan = _plan(problem, recipe, pca)

    watch = Stopwatch(spent)
    optimizer = started.code_optimizer
    if RECIPES[recipe].dense:
        optimizer = DenseAdam(started.latents, settings.code_betas)
    training = Timed(settings, started.decoder, started.latents, optimizer=optimizer)
    kept = plan["batchnorm_cpu"] + plan["refine_cpu"] + plan["prior_cpu"]
    training.start_clock(watch, problem.seconds - kept)
    for _ in train(training, samples):
        if training.done:
            break
    recompute_batchnorm_stats(training.final_decoder, training.codes, settings)
    if plan["passes"]:
        for _ in refine_codes(
            training.final_decoder,
            training.latents,
            training.code_optimizer,
            samples,
            parse_loss(settings.loss),
            passes=plan["passes"],
            lr=settings.refine_lr,
            settings=settings,
        ):
            pass
    facts = {"training": watch.read(), "plan": plan}
    save_checkpoint(problem.folder / "models" / recipe, training, finished=True, facts=facts)


def _plan(problem: Problem, recipe: str, pca: PCA) -> dict[str, Any]:
    """Return the seconds reserved for the stages after training, not counting the estimate."""
    settings = _settings(problem, recipe)
    trial = init_train_state(problem.train, settings, pca)
    watch = Stopwatch()
    recompute_batchnorm_stats(trial.decoder, trial.codes, settings)
    settling = watch.cpu
    per_pass = _refine_seconds(problem, trial)
    passes = min(settings.refine_passes, int(_POLISH_SHARE * problem.seconds / per_pass))
    codes = pca_codes(problem.train, problem.code_dim, pca=pca, seed=problem.seed)
    names = RECIPES[recipe].priors
    costs = {name: _prior_seconds(problem, settings, codes, name) for name in names}
    return {
        "passes": passes,
        "batchnorm_cpu": settling,
        "refine_cpu": passes * per_pass,
        "prior_cpu": min(max(costs.values()), _PRIOR_SHARE * problem.seconds),
        "expected_prior_cpu": costs,
    }


def _refine_seconds(problem: Problem, trial: TrainState) -> float:
    """Return the CPU seconds of one pass over all codes, from a few batches."""
    settings = trial.settings
    batches = refine_codes(
        trial.decoder,
        trial.latents,
        trial.code_optimizer,
        problem.train,
        parse_loss(settings.loss),
        passes=1,
        lr=settings.refine_lr,
        settings=settings,
    )
    # The first batch warms up.
    first = next(batches)
    watch = Stopwatch()
    rows = [first, *islice(batches, _MEASURED)][-1] - first
    return watch.cpu * trial.n / max(rows, 1) + 1e-6


def _prior_seconds(problem: Problem, settings: Settings, codes: Tensor, name: str) -> float:
    """Return the CPU seconds of fitting a prior, measured once per results folder."""
    path = problem.folder / "models" / "prior-seconds.json"
    known: dict[str, float] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if name not in known:
        known[name] = _measured(problem, settings, codes, name)
        write_atomically(path, known)
    return known[name]


def _measured(problem: Problem, settings: Settings, codes: Tensor, name: str) -> float:
    prior = build_prior(name, constraint=settings.constraint)
    watch, before, last = Stopwatch(), (0.0, 0.0), (0.0, 0.0)
    for share in prior.fit_iter(codes, seed=problem.seed):
        # A second apart at least, so that the pace between two looks is more than noise.
        if watch.cpu - last[0] > 1.0 or share == 1.0:
            before, last = last, (watch.cpu, share)
        if watch.cpu > _PATIENCE * problem.seconds and last[1] > before[1]:
            break
    # The rest at the latest pace: what a fit does first is often its cheapest part.
    pace = (last[0] - before[0]) / (last[1] - before[1])
    return last[0] + (1.0 - last[1]) * pace

"""GLO, a GLANN-style run and a deep generative decoder by the package's training loop.

What is trained is the library's recipe; only its length is set by the clock. The schedule needs the
number of steps, which nobody knows while the clock runs, so `Timed` reckons it anew at each step
from the share of the budget used: rates fall linearly over CPU seconds, as those of the
autoencoders do. Before that, the time to reserve for code refinement is measured, by a few batches.
"""

from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import Any

from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.dgd import CodeMixture, MixtureRowAdam
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.problem import Problem
from benchmarks.plateau.dense import DenseAdam
from torch import nn

from glo.config.settings import Settings
from glo.inversion.refine import refine_codes
from glo.latents.init import PCA, fit_pca
from glo.losses import parse_loss
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.loop import train
from glo.training.state import TrainState, init_train_state

__all__ = ["RECIPES", "Timed", "learn_glo"]


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    settings: dict[str, Any] = field(default_factory=dict)
    dense: bool = False
    mixture: bool = False


RECIPES: dict[str, _Recipe] = {
    "glo": _Recipe(),
    # Refined codes would leave the mixture.
    "dgd": _Recipe(settings={"constraint": "free", "refine_passes": 0}, mixture=True),
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
        dense=True,
    ),
}

# The largest share of the budget reserved for code refinement.
_REFINE_SHARE = 0.15
_MEASURED = 4


class Timed(TrainState):  # type: ignore[misc]
    """Training limited by CPU seconds."""

    def start_clock(self, watch: Stopwatch, seconds: float) -> None:
        self._watch, self._seconds = watch, seconds

    @property
    def total_steps(self) -> int:
        """Estimated number of updates of the run, from the duration of previous ones."""
        share = self._watch.share(self._seconds)
        return max(self.step, round(self.step / share)) if self.step else 10**9


def learn_glo(problem: Problem, recipe: str, reserved: float) -> LatentModel:
    """Train decoder and codes until the sampler's seconds are left.

    Args:
        problem: the task.
        recipe: one of `RECIPES`.
        reserved: CPU seconds that are left to the sampler.
    """
    how, samples = RECIPES[recipe], problem.train
    settings = _settings(problem, recipe)
    watch = Stopwatch()
    pca = fit_pca(samples, problem.code_dim, seed=problem.seed)
    started = init_train_state(samples, settings, pca)
    spent = watch.cpu
    plan = _plan(problem, settings, pca)

    watch = Stopwatch(spent)
    optimizer, mixture = started.code_optimizer, None
    if how.dense:
        optimizer = DenseAdam(started.latents, settings.code_betas)
    if how.mixture:
        mixture = CodeMixture(started.codes, seed=problem.seed)
        optimizer = MixtureRowAdam(
            started.latents,
            mixture,
            width=prod(samples.shape),
            lr=settings.code_lr,
            betas=settings.code_betas,
        )
    training = Timed(settings, started.decoder, started.latents, optimizer=optimizer)
    kept = reserved + plan["batchnorm_cpu"] + plan["refine_cpu"]
    training.start_clock(watch, problem.seconds - kept)
    for _ in train(training, samples):
        if training.done:
            break
    decoder, notes = training.final_decoder, ()
    recompute_batchnorm_stats(decoder, training.codes, settings)
    if plan["passes"]:
        notes = (f"{plan['passes']} passes of code refinement",)
        for _ in refine_codes(
            decoder,
            training.latents,
            samples,
            parse_loss(settings.loss),
            passes=plan["passes"],
            precision=settings.precision,
        ):
            pass
    return LatentModel(
        networks=nn.ModuleDict({"decoder": decoder}),
        codes=training.codes,
        training=watch.read(),
        steps=training.step,
        prior=None if mixture is None else mixture.prior(),
        constraint=settings.constraint,
        notes=notes,
        facts={"plan": plan},
    )


def _settings(problem: Problem, recipe: str) -> Settings:
    common: dict[str, Any] = {
        "code_dim": problem.code_dim,
        "width": problem.width,
        "batch_size": problem.batch,
        "seed": problem.seed,
        "device": "cpu",
    }
    return Settings(**(common | RECIPES[recipe].settings))


def _plan(problem: Problem, settings: Settings, pca: PCA) -> dict[str, Any]:
    """Return the seconds reserved for the stages after training, not counting the estimate."""
    trial = init_train_state(problem.train, settings, pca)
    watch = Stopwatch()
    recompute_batchnorm_stats(trial.decoder, trial.codes, settings)
    settling = watch.cpu
    per_pass = _refine_seconds(problem, trial)
    passes = min(settings.refine_passes, int(_REFINE_SHARE * problem.seconds / per_pass))
    return {"passes": passes, "batchnorm_cpu": settling, "refine_cpu": passes * per_pass}


def _refine_seconds(problem: Problem, trial: TrainState) -> float:
    """Return the CPU seconds of one pass over all codes, from a few batches."""
    settings = trial.settings
    batches = refine_codes(
        trial.decoder,
        trial.latents,
        problem.train,
        parse_loss(settings.loss),
        passes=1,
        precision=settings.precision,
    )
    # The first batch warms up.
    first = next(batches)
    watch = Stopwatch()
    rows = [first, *islice(batches, _MEASURED)][-1] - first
    return watch.cpu * trial.n / max(rows, 1) + 1e-6

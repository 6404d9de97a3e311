"""PCA with a mixture, the linear baseline."""

import torch
from benchmarks.compare.budget import Stopwatch
from benchmarks.compare.mixture import fit_mixture
from benchmarks.compare.problem import Made, Problem

from glo.latents.init import fit_pca

__all__ = ["make_pca"]

_BATCH = 4096


def make_pca(problem: Problem, components: int) -> Made:
    """Project on D components, fit a mixture to the scores, and sample images, clipped to [-1, 1].

    Args:
        problem: the task.
        components: Gaussians of the mixture.
    """
    watch = Stopwatch()
    pca = fit_pca(problem.train, problem.code_dim, seed=problem.seed)
    rows = torch.arange(len(problem.train)).split(_BATCH)
    images = (problem.train.batch(part).flatten(1) for part in rows)
    scores = torch.cat([(part - pca.mean) @ pca.components.T for part in images])
    training = watch.read()

    fitting = Stopwatch()
    left = problem.seconds - watch.cpu
    mixture, text = fit_mixture(scores, components, seconds=left, seed=problem.seed)
    fitted = fitting.read()

    drawn = torch.from_numpy(mixture.sample(problem.n_samples)[0]).float()
    # A mixture hands its samples out one component after another.
    drawn = drawn[torch.randperm(len(drawn), generator=torch.Generator().manual_seed(problem.seed))]
    both = [
        (pca.mean + codes @ pca.components).view(-1, *problem.train.shape).clamp(-1.0, 1.0)
        for codes in (drawn, scores[problem.rebuilt_rows])
    ]
    return Made(samples=both[0], rebuilt=both[1], training=training, fitting=fitted, notes=(text,))

"""The orthogonalization of Muon against torch's: milliseconds and singular values.

    python benchmarks/muon.py --threads 2

coefficients    of the three polynomials, fitted anew: each is the minimax approximation of 1 on the
                range that the one before it leaves
decoder         the default decoder's matrices, after a short training on 2,000 digits: singular
                values of both results along the singular vectors of the momentum, of directions
                above 0.01 of the largest; and milliseconds of one step of each
prior           six matrices of 512 x 512, as in the flow-matching prior, of noise

Times are minima of repetitions in turn, so other work on the machine matters little. It ends within
a minute.
"""

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor, nn
from torch.optim import Muon

from glo.config.settings import Settings
from glo.data import SourceOptions, open_source
from glo.latents.init import fit_pca
from glo.training.loop import train
from glo.training.optim import MatrixMuon, apply_factor, orthogonal_factor
from glo.training.state import init_train_state
from glo.training.statistics import StepRecord

LOWEST, WIDENED, LARGEST = 0.01, 1.01, 1.2


def main() -> None:
    """Print the coefficients and compare both optimizers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="of the short training")
    parser.add_argument("--repetitions", type=int, default=20)
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)
    for coefficients in _fit():
        print("coefficients", *(f"{each:.4f}" for each in coefficients))
    momenta = _momenta(choice.steps)
    for momentum in momenta:
        _compare_values(momentum)
    _compare_times("decoder", momenta, choice.repetitions)
    _compare_times("prior", [torch.randn(512, 512) for _ in range(6)], choice.repetitions)


def _fit() -> list[NDArray[np.float64]]:
    low, high, fitted = LOWEST, 1.0, []
    for _ in range(3):
        x = np.geomspace(low, high, 1500)
        powers, ones = np.stack([x, x**3, x**5], 1), np.ones((len(x), 1))
        found = linprog(
            [0, 0, 0, 1],
            A_ub=np.block([[powers, -ones], [-powers, -ones]]),
            b_ub=np.concatenate([ones, -ones])[:, 0],
            bounds=[(None, None)] * 4,
        )
        fitted.append(found.x[:3])
        low, high = (1 - found.x[3]) / WIDENED, (1 + found.x[3]) * WIDENED
    x = np.geomspace(LOWEST, 1, 100_000)
    for a, b, c in fitted:
        x = a * x + b * x**3 + c * x**5
    fitted[-1] *= LARGEST / x.max()
    return fitted


def _momenta(steps: int) -> list[Tensor]:
    samples = open_source("mnist", SourceOptions(limit=2000))
    settings = Settings(code_dim=32, epochs=1000, device="cpu")
    training = init_train_state(samples, settings, fit_pca(samples, 32))
    for record in train(training, samples):
        if isinstance(record, StepRecord) and record.step == steps:
            break
    states = training.optimizer.optimizers[0].state.values()
    return [each["momentum_buffer"].flatten(1).clone() for each in states]


def _compare_values(momentum: Tensor) -> None:
    left, values, right = torch.linalg.svd(momentum, full_matrices=False)
    kept = values > LOWEST * values[0]
    ours = torch.zeros_like(momentum)
    apply_factor(ours, momentum, orthogonal_factor(momentum))
    theirs = _torchs_factor(momentum)
    texts = []
    for name, result in (("ours", ours), ("torch", theirs)):
        found = (left.T @ result @ right.T).diagonal()[kept]
        texts.append(f"{name} {found.min():.2f} to {found.max():.2f}, mean {found.mean():.2f}")
    print(f"singular values of {tuple(momentum.shape)}: {'; '.join(texts)}")


def _torchs_factor(momentum: Tensor) -> Tensor:
    """Return what a step of torch's Muon subtracts at rate 1."""
    weight = nn.Parameter(torch.zeros_like(momentum))
    weight.grad = momentum
    Muon([weight], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw").step()
    moved: Tensor = -weight.detach() / (0.2 * max(momentum.shape) ** 0.5)
    return moved


def _compare_times(name: str, matrices: list[Tensor], repetitions: int) -> None:
    weights = [nn.Parameter(torch.zeros_like(each)) for each in matrices]
    for weight, each in zip(weights, matrices, strict=True):
        weight.grad = each
    optimizers = {
        "ours": MatrixMuon(weights, lr=1e-3),
        "torch": Muon(weights, lr=1e-3, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    }
    best = dict.fromkeys(optimizers, float("inf"))
    end = time.perf_counter() + 20
    for _ in range(repetitions):
        for which, optimizer in optimizers.items():
            begun = time.perf_counter()
            optimizer.step()
            best[which] = min(best[which], time.perf_counter() - begun)
        if time.perf_counter() > end:
            break
    print(name, *(f"{which} {1000 * seconds:.2f} ms" for which, seconds in best.items()))


if __name__ == "__main__":
    main()

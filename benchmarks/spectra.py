"""Synthetic spectra: a few lines on a sloping continuum, with noise and missing channels.

    python benchmarks/spectra.py --n 1000 --out spectra.npz

They are synthetic. Each is a sum of five Voigt lines at fixed rest places, on a continuum that
falls or rises as a power law and bends, and is seen through a shift, as a redshift would do. Nine
numbers make it: the shift, a width that all lines share, five strengths of either sign (emission
and absorption) of which three go together, and slope and bend of the continuum. So the spectra lie
near a curved surface of nine dimensions; noise lifts them off it. Of each spectrum a run of
channels is missing (a gap between detectors, at a place of its own) and single ones at random
(cosmic rays).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import voigt_profile

__all__ = ["Spectra", "make_spectra"]

# Rest places of the lines and how broad each is beside the others, in a window from 0 to 1.
PLACES = np.array([0.18, 0.31, 0.50, 0.62, 0.80])
BREADTHS = np.array([1.0, 0.7, 1.6, 0.9, 1.2])
NOISE = 0.03
GAP = 0.06


@dataclass(frozen=True, kw_only=True)
class Spectra:
    """Spectra with their true parameters.

    Attributes:
        seen: float64 (n, F), with noise, NaN where a channel is missing.
        clean: float64 (n, F), without noise, whole.
        parameters: float64 (n, 9): shift, width, five strengths, slope, bend.
    """

    seen: NDArray[np.float64]
    clean: NDArray[np.float64]
    parameters: NDArray[np.float64]


def make_spectra(
    n: int, channels: int = 200, *, rays: float = 0.05, seed: int = 0, noise: float = NOISE
) -> Spectra:
    """Generate spectra.

    Args:
        n: how many.
        channels: F.
        rays: share of the channels that is missing at random, besides the gap.
        seed: of everything random.
        noise: its standard deviation; the lines are about 1 high.
    """
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.06, 0.06, n)
    width = np.exp(rng.normal(np.log(0.012), 0.25, n))
    common = rng.normal(size=n)
    strengths = np.column_stack(
        [
            np.exp(0.3 * common + 0.15 * rng.normal(size=n)),
            np.exp(0.3 * common + 0.15 * rng.normal(size=n)) * 0.6,
            np.exp(-0.3 * common + 0.15 * rng.normal(size=n)),
            -rng.uniform(0.1, 0.7, n),
            rng.uniform(-0.5, 0.8, n),
        ]
    )
    slope, bend = rng.normal(0, 0.5, n), rng.normal(0, 0.3, n)
    parameters = np.column_stack([shift, width, strengths, slope, bend])

    x = np.linspace(0, 1, channels)
    clean = (1 + x) ** slope[:, None] + bend[:, None] * (x - 0.5) ** 2
    for line, (place, breadth) in enumerate(zip(PLACES, BREADTHS, strict=True)):
        sigma = (width * breadth)[:, None]
        # A core by thermal motion and wings of 0.3 times its width, scaled to height 1.
        profile = voigt_profile(x - place - shift[:, None], sigma, 0.3 * sigma)
        peak = voigt_profile(np.zeros_like(sigma), sigma, 0.3 * sigma)
        clean += strengths[:, line, None] * profile / peak
    seen = clean + noise * rng.normal(size=clean.shape)
    seen[_missing(n, channels, rays, rng)] = np.nan
    return Spectra(seen=seen, clean=clean, parameters=parameters)


def _missing(n: int, channels: int, rays: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    length = max(1, round(GAP * channels))
    first = rng.integers(0, channels - length, n)[:, None]
    place = np.arange(channels)
    gap = (place >= first) & (place < first + length)
    return gap | (rng.random((n, channels)) < rays)


def main() -> None:
    """Write spectra to a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=200)
    parser.add_argument("--rays", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("spectra.npz"))
    choice = parser.parse_args()
    made = make_spectra(choice.n, choice.channels, rays=choice.rays, seed=choice.seed)
    np.savez(choice.out, seen=made.seen, clean=made.clean, parameters=made.parameters)
    missing = np.isnan(made.seen).mean()
    print(f"{choice.out}: {choice.n} spectra of {choice.channels} channels, {missing:.1%} missing")


if __name__ == "__main__":
    main()

"""Codes of unseen examples by encoder, short search and full search: errors and speeds.

    glo train mnist --out runs/mnist
    python -m benchmarks.encoder runs/mnist
    python -m benchmarks.encoder runs/mnist --study results/compare --seconds 480
    python -m benchmarks.encoder runs/fashion --heldout path/to/idx --out fashion.json

Every kind of search is given the same held-out examples, whole and with parts hidden: 30 % of the
values at random, and for images the left half. Errors are mean squares, of all values of whole
examples and of the hidden values otherwise. The full search is that of runs without an encoder.
Speeds are whole examples per second; those of a kind do not hold the decoding of the run's codes,
which every kind needs once.

With --study an autoencoder and GLO are measured that `benchmarks.compare` trained within the same
CPU seconds, with one decoder and one optimizer; they are trained if they are not in that folder.
GLO's encoder is fitted as in a run, beside the seconds.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.compare.latent_model import LatentModel
from benchmarks.compare.methods import METHODS
from benchmarks.compare.problem import Problem
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source
from glo.data.options import Split
from glo.encoders import fit_encoder, fit_steps
from glo.encoders.encoder import Encoder
from glo.inversion import InversionOptions, decode_initial_codes, half_mask, invert
from glo.losses import MSELoss
from glo.runs.run import Run, open_run
from glo.utils.json_toml import write_json
from glo.workflows.encode import SearchKind, encode, encoder_codes, prepare_search

KINDS: tuple[SearchKind, ...] = ("encoder", "refine", "full")
_CHUNK = 2048


def main() -> None:
    """Measure a run, and models of a study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--heldout", help="held-out data; unset: the test split of the data")
    parser.add_argument("--split", default="test", choices=("train", "test"), help="of --heldout")
    parser.add_argument("--n", type=int, default=10_000, help="whole held-out examples")
    parser.add_argument("--masked", type=int, default=1000, help="held-out examples with masks")
    parser.add_argument("--study", type=Path, help="folder of benchmarks.compare")
    parser.add_argument("--seconds", type=float, default=480.0, help="CPU seconds of the study")
    parser.add_argument("--out", type=Path, help="JSON file")
    given = parser.parse_args()
    run = open_run(given.run)
    heldout = _heldout(run, given.heldout, given.split)
    figures = {"threads": torch.get_num_threads(), "run": measure(run, heldout, given)}
    if given.study is not None:
        problem = Problem(data=run.data.name, root=given.study, seconds=given.seconds)
        figures["study"] = {name: measure_model(problem, name) for name in ("glo", "ae-ours")}
    if given.out is not None:
        write_json(given.out, figures)


def _heldout(run: Run, source: str | None, split: Split) -> Dataset:
    size = run.data.shape[1] if run.is_images else None
    if source is None:
        return open_source(run.data.source, SourceOptions(split="test", size=size))
    return run.standardize(open_source(source, SourceOptions(split=split, size=size)))


def measure(run: Run, heldout: Dataset, given: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a run."""
    summary = run.summary or {}
    fit = summary.get("encoder", {})
    others = fit.get("seconds", 0) + summary.get("prior_seconds", 0)
    share = fit.get("seconds", 0) / max(summary["seconds"] - others, 1e-9)
    print(f"{given.run}: training error {summary['mse']:.5f}; encoder: {share:.1%} of the")
    print(
        f"seconds of training and refinement, error of pairs kept from it {fit.get('mse', 0):.5f}"
    )
    initial = prepare_search(run)
    figures: dict[str, Any] = {"fit_share": share}
    whole = heldout.batch(torch.arange(min(given.n, len(heldout))))
    for kind in KINDS:
        start = time.perf_counter()
        parts = [encode(run, part, initial, search=kind) for part in whole.split(_CHUNK)]
        seconds = time.perf_counter() - start
        error = torch.cat([part.residuals for part in parts]).double().mean()
        steps = torch.cat([part.steps for part in parts]).double().mean()
        figures[kind] = {"mse": float(error), "per_second": len(whole) / seconds}
        print(f"{kind:8} {error:.5f}  {len(whole) / seconds:7.0f} / s  {steps:4.1f} decodings")
    start = time.perf_counter()
    encoder_codes(run, heldout.subset(np.arange(len(whole))))
    figures["codes_alone_per_second"] = len(whole) / (time.perf_counter() - start)
    print(f"encoder, not decoded, as in GLO.transform: {figures['codes_alone_per_second']:.0f} / s")
    full = figures["full"]
    for kind in KINDS[:2]:
        ratio = {name: figures[kind][name] / full[name] for name in full}
        print(f"{kind} / full: error x {ratio['mse']:.3f}, speed x {ratio['per_second']:.1f}")
    for name, mask in _masks(run, heldout, given.masked).items():
        figures[name] = {kind: _masked(run, heldout, mask, initial, kind) for kind in KINDS}
        for kind, values in figures[name].items():
            print(f"{name}, {kind:8} {values['mse']:.5f}  {values['per_second']:7.0f} / s")
    return figures


def _masks(run: Run, heldout: Dataset, n: int) -> dict[str, Tensor]:
    n = min(n, len(heldout))
    shape = (1, *run.data.shape[1:]) if run.is_images else run.data.shape
    generator = torch.Generator().manual_seed(0)
    masks = {"30 % hidden": (torch.rand(n, *shape, generator=generator) > 0.3).float()}
    if run.is_images:
        masks["left half hidden"] = half_mask(run.data.shape, "left").expand(n, -1, -1, -1)
    return masks


def _masked(
    run: Run, heldout: Dataset, mask: Tensor, initial: Any, kind: SearchKind
) -> dict[str, float]:
    truth = heldout.batch(torch.arange(len(mask)))
    start = time.perf_counter()
    found = encode(run, truth, initial, mask=mask, search=kind)
    seconds = time.perf_counter() - start
    error = MSELoss()(found.reconstructions, truth, 1 - mask)
    return {"mse": float(error.double().mean()), "per_second": len(mask) / seconds}


def measure_model(problem: Problem, name: str) -> dict[str, float]:
    """Return the errors of a model of a study: by its encoder, and searched in full."""
    method = METHODS[name]
    model = method.model(problem, name, ())
    images, decoder = problem.heldout, model.networks["decoder"]
    options = InversionOptions(constraint=model.constraint)
    starts = decode_initial_codes(decoder, model.codes)
    figures = {"search": float(invert(decoder, images, starts, options=options).residuals.mean())}
    if not model.has_encoder:
        model = _distilled(problem, model)
    figures["encoder"] = float((model.decode(model.encode(images)) - images).square().mean())
    about = f"{method.about}, {problem.seconds:g} CPU seconds"
    print(f"{about}: encoder {figures['encoder']:.5f}, searched {figures['search']:.5f}")
    return figures


def _distilled(problem: Problem, model: LatentModel) -> LatentModel:
    """Return a model with an encoder fitted as in a run of as many steps."""
    decoder: Any = model.networks["decoder"]
    settings = Settings(epochs=1, batch_size=problem.batch)
    untrained = Encoder(code_dim=problem.code_dim, shape=decoder.shape)
    passes = model.steps * problem.batch / len(problem.train)
    steps = int(passes * fit_steps(decoder, untrained, settings, len(problem.train)))
    encoder, _ = fit_encoder(
        decoder, model.codes, problem.train, settings, MSELoss(), steps=max(steps, 1)
    )
    networks = torch.nn.ModuleDict({"decoder": decoder, "encoder": encoder})
    return replace(model, networks=networks)


if __name__ == "__main__":
    main()

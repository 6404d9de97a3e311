"""The building blocks in a loop of one's own, which gives the bits of `glo.train`."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import glo

N, SIDE, D, EPOCHS, BATCH = 50, 8, 3, 2, 16
SETTINGS = glo.Settings(
    code_dim=D, width=8, epochs=EPOCHS, batch_size=BATCH, decoder_optimizer="adam",
    decoder_lr=2e-3, decoder_betas=(0.9, 0.999), schedule="constant", refine_passes=0,
    prior="gaussian", precision="float32", device="cpu", seed=3,
)  # fmt: skip


def images(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (N, 1, SIDE, SIDE), generator=generator)
    return pixels.float() / 127.5 - 1


def sequential() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(D, 16), nn.ReLU(), nn.Linear(16, SIDE**2), nn.Unflatten(1, (1, SIDE, SIDE))
    )


def own_loop(dataset: Any, decoder: nn.Module) -> glo.LatentCodes:
    """The loop of the documentation, with the batches and the optimizer options of `SETTINGS`."""
    codes = glo.LatentCodes(glo.pca_codes(dataset, D, seed=SETTINGS.seed), constraint="ball")
    optimizer = torch.optim.Adam(decoder.parameters(), lr=2e-3, fused=True)
    code_optimizer = glo.RowAdam(codes.parameters(), lr=0.015, betas=(0.0, 0.9))
    decoder.train()
    for epoch in range(EPOCHS):
        batches = glo.EpochSampler(N, BATCH, seed=SETTINGS.seed, epoch=epoch)
        for rows, x in DataLoader(dataset, batch_sampler=batches):
            loss = glo.losses.mse(decoder(codes(rows)), x).mean()
            optimizer.zero_grad()
            code_optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            code_optimizer.step()
            codes.project_(rows)
    return codes


@pytest.mark.parametrize("kind", ["DCGAN", "nn.Sequential", "TensorDataset"])
def test_the_loop_gives_the_bits_of_train(tmp_path: Path, kind: str) -> None:
    source = TensorDataset(images()) if kind == "TensorDataset" else images().numpy()
    dataset = glo.open_source(source)
    module = sequential() if kind == "nn.Sequential" else None
    if module is None:
        torch.manual_seed(SETTINGS.seed)
        decoder: nn.Module = glo.decoders.DCGAN(code_dim=D, shape=(1, SIDE, SIDE), width=8)
        decoder = decoder.to(memory_format=torch.channels_last)
    else:
        decoder = copy.deepcopy(module)
    codes = own_loop(dataset, decoder)
    run = glo.train(source, settings=SETTINGS, run_dir=tmp_path / "run", decoder=module, verbose=0)
    assert torch.equal(codes.weight.detach(), run.codes)
    trained = dict(run.decoder.named_parameters())
    for name, weight in decoder.named_parameters():
        assert torch.equal(weight, trained[name if module is None else f"module.{name}"]), name


def test_the_loop_runs_as_printed() -> None:
    dataset = TensorDataset(torch.arange(N), images())
    for decoder in (glo.decoders.DCGAN(code_dim=D, shape=(1, SIDE, SIDE)), sequential()):
        codes = glo.LatentCodes(glo.pca_codes(glo.open_source(images()), D), constraint="ball")
        optimizer = torch.optim.Adam(decoder.parameters(), lr=2e-3)
        code_optimizer = glo.RowAdam(codes.parameters(), lr=0.015, betas=(0.0, 0.9))
        losses = []
        for _ in range(20):
            for rows, x in DataLoader(dataset, batch_size=BATCH, shuffle=True):
                loss = glo.losses.mse(decoder(codes(rows)), x).mean()
                optimizer.zero_grad()
                code_optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                code_optimizer.step()
                codes.project_(rows)
                losses.append(float(loss.detach()))
        assert losses[-1] < 0.9 * losses[0]
        found = glo.invert(decoder, images(1)[:4], codes.weight)
        assert found.codes.shape == (4, D)
        assert found.reconstructions.shape == (4, 1, SIDE, SIDE)
        assert found.residuals.shape == (4,)


SNIPPETS = {
    "a module for GLO": """
        from sklearn.exceptions import ConvergenceWarning
        import warnings; warnings.simplefilter("ignore", ConvergenceWarning)
        module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5))
        model = glo.GLO(2, decoder=module, epochs=1, prior="gaussian").fit(X)
        assert model.codes_.shape == (40, 2)""",
    "train into a path that is a str": """
        run = glo.train(X, run_dir="a", settings=glo.Settings(code_dim=2, epochs=1, width=4))
        assert run.sample(2).shape == (2, 5)""",
    "a DataLoader with workers": """
        loader = DataLoader(glo.open_source(X), num_workers=2, batch_size=8)
        assert sum(len(rows) for rows, x in loader) == 40""",
    "a scheduler on RowAdam": """
        codes = glo.LatentCodes(torch.zeros(4, 2))
        optimizer = glo.RowAdam(codes.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        codes(torch.tensor([1])).sum().backward(); optimizer.step(); scheduler.step()
        assert optimizer.param_groups[0]["lr"] == 0.05""",
    "pickles, clones and a grid search": """
        from sklearn.base import clone
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.model_selection import GridSearchCV
        import pickle, warnings; warnings.simplefilter("ignore", ConvergenceWarning)
        model = glo.GLO(2, epochs=1, width=4, prior="gaussian").fit(X)
        twin = pickle.loads(pickle.dumps(model))
        assert (twin.codes_ == model.codes_).all()
        assert (clone(model).fit(X).codes_ == twin.codes_).all()
        assert GridSearchCV(model, {"code_dim": [1, 2]}, cv=2).fit(X).best_params_""",
}


def test_no_warning_is_given(tmp_path: Path) -> None:
    # In one process: starting one takes longer than a snippet.
    lines = ["import warnings", "import numpy as np, torch, glo"]
    lines += ["from torch.utils.data import DataLoader", "if __name__ == '__main__':"]
    for name, snippet in SNIPPETS.items():
        lines += [f"    print({name!r}, flush=True)", "    with warnings.catch_warnings():"]
        lines += ["        X = np.random.default_rng(0).normal(size=(40, 5))"]
        lines += ["        " + line.strip() for line in snippet.strip().splitlines()]
    (tmp_path / "script.py").write_text("\n".join(lines) + "\n")
    source = str(Path(__file__).parents[1] / "src")
    env = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, env=env, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") >= len(SNIPPETS)


def test_dir_lists_the_public_names() -> None:
    assert dir(glo) == sorted(glo.__all__)
    assert np.all([hasattr(glo, name) for name in glo.__all__])

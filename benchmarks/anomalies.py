"""Detection of a class that was left out of training, and of malignant cells in a table.

    python -m benchmarks.anomalies                  # digits 0 to 9 in turn, and the table
    python -m benchmarks.anomalies --digits 1 8

Digits: for each digit, all methods are given `--rows` of every other digit, and score test digits
of all ten. Table: the benign rows of scikit-learn's breast-cancer data but a third, and the rest of
them with all malignant ones to score. A figure is the area under the ROC curve (AUROC), 0.5 for a
guess and 1 for a perfect score; digits of the training classes are ordinary.

GLO's score (`GLO.anomaly_score`), its residual alone and its code distance alone; the residual of
PCA with as many numbers; the residual of an autoencoder with GLO's decoder and optimizer, a
mirrored encoder and as many CPU seconds as GLO's training; IsolationForest and LocalOutlierFactor
on pixels or standardized columns. KS is the Kolmogorov-Smirnov distance of the residual percentiles
of ordinary unseen examples from the uniform distribution: how well they are calibrated.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from benchmarks.compare.networks import Mirror
from numpy.typing import NDArray
from scipy.stats import kstest
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import glo
from glo.config.settings import Settings
from glo.data import SourceOptions, open_source
from glo.decoders import DCGAN, MLP
from glo.training.optim import decoder_optimizer
from glo.training.schedule import linear
from glo.workflows.anomaly import fit_anomaly_model
from glo.workflows.encode import encode_dataset, prepare_search

Array = NDArray[Any]
_BATCH = 128


def main() -> None:
    """Print a table of AUROC."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--digits", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--rows", type=int, default=500, help="training digits of each class")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--scored", type=int, default=1000, help="test digits")
    parser.add_argument("--no-table", action="store_true")
    given = parser.parse_args()
    rows = [(f"digit {digit}", left_out(digit, given)) for digit in given.digits]
    if rows:
        names = rows[0][1]
        rows.append(("mean", {k: float(np.mean([row[k] for _, row in rows])) for k in names}))
    if not given.no_table:
        rows.append(("breast cancer", cells()))
    print("".ljust(14) + "  ".join(name.rjust(9) for name in rows[0][1]))
    for name, row in rows:
        print(name.ljust(14) + "  ".join(f"{value:9.3f}" for value in row.values()))


def left_out(digit: int, given: argparse.Namespace) -> dict[str, float]:
    """Return the figures of all methods for one digit that is left out."""
    train, test = (open_source("mnist", SourceOptions(split=split)) for split in ("train", "test"))
    assert train.labels is not None, "MNIST has labels"
    assert test.labels is not None, "MNIST has labels"
    known = [np.flatnonzero(train.labels == k)[: given.rows] for k in range(10) if k != digit]
    rows = np.sort(np.concatenate(known))
    images, unseen = (part[..., 0] for part in (train.rows[rows], test.rows[: given.scored]))
    model = glo.GLO(epochs=given.epochs, prior="mixture")
    autoencoder = make_images(model.code_dim)
    outlier = test.labels[: given.scored] == digit
    return compare(model, autoencoder, images, unseen, outlier, to_tensor=_pixels)


def cells() -> dict[str, float]:
    """Return the figures of all methods for the table."""
    table = load_breast_cancer()
    benign = np.random.default_rng(0).permutation(np.flatnonzero(table.target == 1))
    cut = 2 * len(benign) // 3
    rest = np.concatenate([benign[cut:], np.flatnonzero(table.target == 0)])
    model = glo.GLO(code_dim=8, decoder="mlp")
    scaler = StandardScaler().fit(table.data[benign[:cut]])

    def to_tensor(rows: Array) -> Tensor:
        return torch.from_numpy(scaler.transform(rows)).float()

    decoder = MLP(code_dim=8, shape=(30,))
    encoder = nn.Sequential(
        nn.Linear(30, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 8)
    )
    autoencoder = nn.Sequential(encoder, decoder)
    outlier = table.target[rest] == 0
    data = table.data[benign[:cut]], table.data[rest]
    return compare(model, autoencoder, *data, outlier, to_tensor=to_tensor)


def compare(
    model: glo.GLO,
    autoencoder: nn.Module,
    train: Array,
    unseen: Array,
    outlier: Array,
    *,
    to_tensor: Callable[[Array], Tensor],
) -> dict[str, float]:
    """Fit all methods, and return the AUROC of their scores."""
    start = time.process_time()
    model.fit(train)
    seconds = time.process_time() - start
    run = model._fitted().run
    initial, anomalies = prepare_search(run), fit_anomaly_model(run)
    found = [batch.inversion for batch in encode_dataset(run, model._dataset(unseen), initial)]
    codes, residuals = (
        torch.cat([getattr(part, name) for part in found]) for name in ("codes", "residuals")
    )
    scores = anomalies.score(codes, residuals)
    flat, flat_unseen = to_tensor(train).flatten(1), to_tensor(unseen).flatten(1)
    pca = PCA(codes.shape[1], random_state=0).fit(flat)
    projected = pca.inverse_transform(pca.transform(flat_unseen))
    train_autoencoder(autoencoder, to_tensor(train), seconds)
    with torch.no_grad():
        rebuilt = autoencoder.eval()(to_tensor(unseen)).flatten(1)
    forest = IsolationForest(random_state=0).fit(flat)
    factor = LocalOutlierFactor(novelty=True).fit(flat.numpy())
    all_scores = {
        "GLO": scores.anomaly,
        "residual": residuals.numpy(),
        "code": scores.code_percentile,
        "PCA": ((flat_unseen.numpy() - projected) ** 2).mean(1),
        "AE": (flat_unseen - rebuilt).square().mean(1).numpy(),
        "IForest": -forest.score_samples(flat_unseen),
        "LOF": -factor.score_samples(flat_unseen.numpy()),
    }
    figures = {name: float(roc_auc_score(outlier, score)) for name, score in all_scores.items()}
    ordinary = scores.residual_percentile[~outlier] / 100
    return figures | {"KS": float(kstest(ordinary, "uniform").statistic), "seconds": seconds}


def make_images(dim: int) -> nn.Module:
    """Return an untrained autoencoder of images with GLO's decoder."""
    torch.manual_seed(0)
    decoder = DCGAN(code_dim=dim, shape=(1, 32, 32))
    return nn.Sequential(Mirror(decoder, dim), decoder)


def train_autoencoder(network: nn.Module, examples: Tensor, seconds: float) -> None:
    """Minimize the squared error for some CPU seconds, with the optimizer of GLO's decoder."""
    settings, start = Settings(), time.process_time()
    optimizer = decoder_optimizer(settings, network.train())
    generator = torch.Generator().manual_seed(0)
    while (share := (time.process_time() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = settings.decoder_lr * linear(int(1000 * share), 1000)
        batch = examples[torch.randint(len(examples), (_BATCH,), generator=generator)]
        optimizer.zero_grad()
        (network(batch) - batch).square().mean().backward()
        optimizer.step()


def _pixels(rows: Array) -> Tensor:
    return torch.from_numpy(rows.copy()).unsqueeze(1).float() / 127.5 - 1


if __name__ == "__main__":
    main()

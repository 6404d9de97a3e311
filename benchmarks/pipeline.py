"""Classification of digits from codes of GLO, PCA and an autoencoder.

    python benchmarks/pipeline.py runs/mnist --n-test 10000 --out results/pipeline

Every way makes D numbers of a digit, the same D. `make_pipeline(WAY, StandardScaler(),
LogisticRegression())` is fitted on the training digits and scored on the test digits.

glo          the codes of the run for the training digits, and codes found by search for the test
             digits
glo, search  codes by search for the first `--n-search` training digits too: `FrozenEstimator(
             glo.load(RUN))` as the first step, which is what `make_pipeline` does with a new row
pca          principal components of the training digits
autoencoder  the decoder of the run, anew, under an encoder that is its mirror image, trained for as
             many seconds as the run on the mean squared error (Adam, 1e-3, cosine)

The run must be of MNIST at 32 x 32, or another source with labels and two splits.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

# So that the mirror image of the decoder is found where the comparison keeps it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.compare.budget import cosine
from benchmarks.compare.networks import Mirror
from rows import Rows, markdown

import glo
from glo.data import Dataset, SourceOptions, open_source
from glo.decoders import DCGAN, build_decoder
from glo.training.evaluation import evaluate
from glo.utils.device import autocast, channels_last
from glo.utils.malloc import tune_malloc
from glo.utils.random import permutation

RATE = 1e-3
BATCH = 500
ROUNDS = 1000
CPU = torch.device("cpu")


def main() -> None:
    """Fit and score every pipeline, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--n-train", type=int, help="training digits used; unset: all of the run")
    parser.add_argument("--n-test", type=int, default=10_000)
    parser.add_argument("--n-search", type=int, default=5000)
    parser.add_argument("--seconds", type=float, help="of the autoencoder; unset: as the run had")
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()
    tune_malloc()

    study = Study(choice)
    made = [
        row | {"name": name}
        for name, work in study.ways().items()
        if (row := study.rows.make(name, work)) is not None
    ]
    heads = ["features", "numbers", "training digits", "accuracy", "test MSE", "seconds to learn"]
    text = markdown(heads, [_line(row) for row in made])
    (choice.out / "table.md").write_text(text, "utf-8")
    print(text)


class Study:
    """Data and run shared by all methods.

    Args:
        choice: command-line arguments.
    """

    def __init__(self, choice: argparse.Namespace) -> None:
        self.choice = choice
        self.run = run = glo.open_run(choice.run)
        kept = {name: getattr(run.settings, name) for name in ("size", "channels", "crop")}
        n = min(len(run.codes), choice.n_train or len(run.codes))
        self.train = open_source(run.data.source, SourceOptions(**kept, limit=n))
        self.test = open_source(
            run.data.source, SourceOptions(**kept, split="test", limit=choice.n_test)
        )
        self.seconds = choice.seconds or float((run.summary or {})["seconds"])
        about = {"fingerprint": run.data.fingerprint, "run_mse": (run.summary or {})["mse"]}
        about |= {"n_train": n, "n_test": len(self.test), "autoencoder_seconds": self.seconds}
        self.rows = Rows(choice.out, about)

    def ways(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return the function of each row, by name."""
        count = min(self.choice.n_search, len(self.train))
        first = self.train.subset(np.arange(count))
        return {
            "pca": self._pca,
            "glo": self._glo,
            "glo, search": partial(self._glo_by_search, first),
            "autoencoder": self._autoencoder,
        }

    def score(
        self,
        encode: Callable[[Dataset], NDArray[Any]],
        learned: Dataset,
        codes: NDArray[Any] | None = None,
    ) -> dict[str, Any]:
        """Fit the regression on codes of training digits and score it on the test digits.

        Args:
            encode: from digits to codes, (n, D).
            learned: the training digits.
            codes: of the training digits, where they are known already.
        """
        began = time.perf_counter()
        seen = encode(learned) if codes is None else codes
        encoded = time.perf_counter()
        labels = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ROUNDS))
        labels.fit(seen, learned.labels)
        fitted = time.perf_counter()
        unseen = encode(self.test)
        return {
            "numbers": int(seen.shape[1]),
            "n": len(learned),
            "accuracy": float(labels.score(unseen, self.test.labels)),
            "train_accuracy": float(labels.score(seen, learned.labels)),
            "encode_train_seconds": encoded - began,
            "regression_seconds": fitted - encoded,
            "encode_test_seconds": time.perf_counter() - fitted,
        }

    def _pca(self) -> dict[str, Any]:
        began = time.perf_counter()
        pca = PCA(self.run.settings.code_dim, random_state=0).fit(_flat(self.train))
        seconds = time.perf_counter() - began
        test = _flat(self.test)
        rebuilt = pca.inverse_transform(pca.transform(test))
        return self.score(lambda digits: pca.transform(_flat(digits)), self.train) | {
            "mse": float(np.square(rebuilt - test).mean()),
            "learning_seconds": seconds,
        }

    def _glo(self) -> dict[str, Any]:
        model, errors = glo.load(self.choice.run), list[float]()

        def encode(digits: Dataset) -> NDArray[Any]:
            codes = model.transform(digits)
            found = torch.from_numpy(codes)
            errors.append(evaluate(self.run.decoder, found, digits, self.run.settings))
            return codes

        found = self.score(encode, self.train, self.run.codes[: len(self.train)].numpy())
        return found | {"mse": errors[-1], "learning_seconds": (self.run.summary or {})["seconds"]}

    def _glo_by_search(self, first: Dataset) -> dict[str, Any]:
        pipeline = make_pipeline(
            FrozenEstimator(glo.load(self.choice.run)),
            StandardScaler(),
            LogisticRegression(max_iter=ROUNDS),
        )
        began = time.perf_counter()
        pipeline.fit(first, first.labels)
        seconds = time.perf_counter() - began
        return {
            "numbers": self.run.settings.code_dim,
            "n": len(first),
            "accuracy": float(pipeline.score(self.test, self.test.labels)),
            "encode_train_seconds": seconds,
            "learning_seconds": (self.run.summary or {})["seconds"],
        }

    def _autoencoder(self) -> dict[str, Any]:
        encoder, decoder, steps = self._trained()

        @torch.no_grad()
        def encode(digits: Dataset) -> NDArray[Any]:
            with autocast(CPU, "auto"):
                parts = torch.arange(len(digits)).split(BATCH)
                return torch.cat([encoder(digits.batch(part)) for part in parts]).numpy()

        found = self.score(encode, self.train)
        codes = torch.from_numpy(encode(self.test))
        return found | {
            "mse": evaluate(decoder, codes, self.test, self.run.settings),
            "learning_seconds": self.seconds,
            "steps": steps,
        }

    def _trained(self) -> tuple[nn.Module, DCGAN, int]:
        torch.manual_seed(0)
        decoder = channels_last(build_decoder(self.run.decoder.config))
        assert isinstance(decoder, DCGAN), "the mirror is that of a DCGAN decoder"
        encoder = Mirror(decoder, decoder.code_dim)
        both = nn.ModuleList([encoder, decoder]).train()
        optimizer = torch.optim.Adam(both.parameters(), lr=RATE, fused=True)
        began, steps, epoch = time.perf_counter(), 0, 0
        while True:
            for rows in permutation(len(self.train), 0, epoch).split(128):
                share = (time.perf_counter() - began) / self.seconds
                if share >= 1:
                    return encoder.eval(), decoder.eval(), steps
                optimizer.param_groups[0]["lr"] = RATE * cosine(share)
                digits = self.train.batch(rows)
                with autocast(CPU, "auto"):
                    made = decoder(encoder(digits))
                optimizer.zero_grad(set_to_none=True)
                (made.float() - digits).square().mean().backward()
                optimizer.step()
                steps += 1
            epoch += 1


def _flat(digits: Dataset) -> NDArray[np.float32]:
    return digits.batch(torch.arange(len(digits))).flatten(1).numpy()


def _line(row: dict[str, Any]) -> list[str]:
    seconds = row.get("learning_seconds")
    return [
        row["name"],
        f"{row['numbers']}",
        f"{row['n']:,}",
        f"{row['accuracy']:.2%}",
        f"{row['mse']:.4f}" if "mse" in row else "",
        "" if seconds is None else f"{seconds:.0f}",
    ]


if __name__ == "__main__":
    main()

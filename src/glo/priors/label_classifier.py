"""The label of a code, and samples of one label."""

import warnings
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.errors import UserError, suggest
from glo.priors.base import Prior, check_codes
from glo.priors.serialization import read_tensors_with_checksum, write_tensors_with_checksum
from glo.priors.whitening import Whitening

__all__ = ["LabelClassifier", "load_labels", "sample_label", "save_labels"]

_ROWS = 60_000
# Codes that are looked at together, however many there are.
_PIECE = 2**16
_HIDDEN, _PASSES = 256, 15
# Candidates that are drawn at a time, and how many at most: a label that less than one sample in
# a thousand has is given up.
_BLOCK, _FIRST, _PER_SAMPLE = 1024, 10_000, 1000

_Layers = list[tuple[NDArray[Any], NDArray[Any]]]


@final
class LabelClassifier:
    """Predict the label of a code from the codes of labelled examples.

    Logistic regression and a network with one hidden layer are both fitted to whitened codes; the
    one that is right more often on a held-out fifth is kept.

    Attributes:
        names: names of the labels 0, 1, ..., or none.
        accuracy: share of the held-out codes whose label is predicted.
        given: int64 (N,), the labels it was fitted to, -1 where there was none; kept so that it
            can be fitted anew when rows come or go. Empty in files that do not hold them.

    Example:
        >>> codes = torch.linspace(-1, 1, 60)[:, None]
        >>> labels = LabelClassifier().fit(codes, (codes[:, 0] > 0).long() * 7)
        >>> labels.predict(torch.tensor([[-0.8], [0.9]]))
        tensor([0, 7])
    """

    file: ClassVar[str] = "labels.safetensors"

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.accuracy = 0.0
        self.given = torch.zeros(0, dtype=torch.int64)
        self._whiten: Whitening | None = None
        self._classes = torch.zeros(0, dtype=torch.int64)
        self._layers: list[tuple[Tensor, Tensor]] = []

    @property
    def classes(self) -> list[int]:
        """The labels that can be predicted."""
        return [int(label) for label in self._classes]

    def number(self, label: int | str) -> int:
        """Return the number of a label that is given by its number or its name.

        Raises:
            UserError: there is no such label.
        """
        text = str(label)
        if text in self.names:
            return self.names.index(text)
        if text.lstrip("-").isdigit() and int(text) in self.classes:
            return int(text)
        known = [self._name(other) for other in self.classes]
        raise UserError(
            f"label is {text}, which no training example has; choose one of {', '.join(known)}."
            f"{suggest(text, known)}"
        )

    def _name(self, label: int) -> str:
        return self.names[label] if 0 <= label < len(self.names) else str(label)

    def fit(
        self, codes: Tensor, labels: Tensor, *, names: tuple[str, ...] = (), seed: int = 0
    ) -> Self:
        """Learn to predict `labels`, int64 (N,), from `codes`, (N, D); at most 60,000 rows count.

        A row whose label is -1 has none and teaches nothing.

        Raises:
            UserError: the numbers of codes and labels differ, or the codes cannot be used.
        """
        rows = check_codes(codes)
        if labels.shape != (len(rows),):
            raise UserError(
                f"labels have shape {tuple(labels.shape)} for {len(rows)} codes; give one label "
                f"for each code, (N,)."
            )
        order = np.random.default_rng(seed % 2**64).permutation(len(rows))
        chosen = order[(labels >= 0).numpy()[order]][:_ROWS]
        self.given = labels.clone()
        self._whiten, self.names = Whitening.fit(rows), tuple(names)
        ready = self._whiten.forward(rows[chosen]).float().numpy()
        truth = labels[torch.from_numpy(chosen)].numpy().astype(np.int64)
        self._classes = torch.from_numpy(np.unique(truth))
        layers, self.accuracy = _best_layers(ready, truth, seed)
        self._layers = [
            (torch.from_numpy(w).float(), torch.from_numpy(b).float()) for w, b in layers
        ]
        return self

    @torch.no_grad()
    def predict(self, codes: Tensor) -> Tensor:
        """Return the likeliest label of each of `codes`, (B, D): int64 (B,).

        Raises:
            UserError: it was not fitted.
        """
        if self._whiten is None:
            raise UserError("These labels were not fitted; call fit(codes, labels) first.")
        return torch.cat([self._predict(self._whiten, part) for part in codes.split(_PIECE)])

    def _predict(self, whiten: Whitening, codes: Tensor) -> Tensor:
        rows = whiten.forward(codes).float()
        for i, (weight, offset) in enumerate(self._layers):
            rows = torch.addmm(offset, rows.relu() if i else rows, weight)
        return self._classes[rows.argmax(1)]

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights, offsets, labels and those of the rows, and mean and factor of codes."""
        assert self._whiten is not None, "saved after fitting"
        layers = {
            f"{kind}.{i}": tensor
            for i, layer in enumerate(self._layers)
            for kind, tensor in zip(("weight", "offset"), layer, strict=True)
        }
        given = {"given": self.given.to(torch.int32)}
        return self._whiten.state_dict() | layers | {"classes": self._classes} | given

    def load_state_dict(
        self, state: dict[str, Tensor], *, names: tuple[str, ...] = (), accuracy: float = 0.0
    ) -> Self:
        """Take up what `state_dict` returned."""
        self._whiten, self._classes = Whitening.from_state(state), state["classes"]
        depth = sum(name.startswith("weight.") for name in state)
        self._layers = [(state[f"weight.{i}"], state[f"offset.{i}"]) for i in range(depth)]
        self.names, self.accuracy = names, accuracy
        self.given = state.get("given", self.given).long()
        return self


def sample_label(
    prior: Prior,
    labels: LabelClassifier,
    label: int,
    n: int,
    *,
    seed: int,
    start: int = 0,
    temperature: float = 1.0,
) -> Tensor:
    """Draw codes of one label: the samples 0, 1, 2, ... of `seed`, but only those of that label.

    So sample j of a label and seed is the same in any batch. At most 10,000 + 1,000 (start + n)
    samples are looked at.

    Args:
        prior: fitted.
        labels: fitted on the same codes.
        label: which one.
        n: how many.
        seed: which sequence of samples.
        start: number of the first one among those of that label.
        temperature: factor of the prior's spread.

    Returns:
        float32 (n, D).

    Raises:
        UserError: no example had that label, or too few samples have it.
    """
    label = labels.number(label)
    if n < 1:
        raise UserError(f"n is {n}; it must be above 0.")
    found: list[Tensor] = []
    have, wanted = 0, start + n
    limit = _FIRST + _PER_SAMPLE * wanted
    for first in range(0, limit, _BLOCK):
        drawn = prior.sample(_BLOCK, seed=seed, start=first, temperature=temperature)
        found.append(drawn[labels.predict(drawn) == label])
        have += len(found[-1])
        if have >= wanted:
            return torch.cat(found)[start:wanted]
    raise UserError(
        f"Only {have} of {limit:,} samples have label {label}, and {wanted} were asked for; ask "
        f"for fewer, raise the temperature, or choose another prior."
    )


def save_labels(labels: LabelClassifier, folder: Path) -> Path:
    """Write labels to `folder`/labels.safetensors, whole or not at all, and return the path."""
    about = {"name": "labels", "names": list(labels.names), "accuracy": labels.accuracy}
    return write_tensors_with_checksum(folder / LabelClassifier.file, about, labels.state_dict())


def load_labels(folder: Path) -> LabelClassifier:
    """Read the labels that were saved in `folder`.

    Raises:
        UserError: there are none, or their file is damaged.
    """
    path = folder / LabelClassifier.file
    if not path.is_file():
        raise UserError(
            f"{folder} has no labels; train on examples with labels to sample by label."
        )
    try:
        about, state = read_tensors_with_checksum(path)
        names, accuracy = tuple(about["names"]), float(about["accuracy"])
        labels = LabelClassifier().load_state_dict(state, names=names, accuracy=accuracy)
        _try(labels, state)
        return labels
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        reason = f"{kind}{str(error).rstrip('.')}"
        raise UserError(f"{path} cannot be read as labels ({reason}); fit them again.") from None


def _try(labels: LabelClassifier, state: dict[str, Tensor]) -> None:
    """Ask for the label of one code: tensors that do not fit each other are found out here."""
    kinds = {"classes": torch.int64, "given": torch.int32}
    for name in kinds.keys() & state.keys():
        if state[name].ndim != 1 or state[name].dtype != kinds[name]:
            raise ValueError(f"'{name}' is no list of labels")
    scores, known = state[f"offset.{len(labels._layers) - 1}"], len(labels.classes)
    if scores.shape != (known,) or not all(isinstance(name, str) for name in labels.names):
        raise ValueError("it has another number of labels than it tells apart")
    labels.predict(torch.zeros(1, len(state["standardise.mean"])))


def _best_layers(
    rows: NDArray[np.float32], truth: NDArray[np.int64], seed: int
) -> tuple[_Layers, float]:
    """Return the layers of the better model of the two, and how often it is right."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    classes = np.unique(truth)
    if len(classes) == 1:
        return [(np.zeros((rows.shape[1], 1)), np.zeros(1))], 1.0
    held = len(rows) // 5
    # A label may be so rare that it is only in one part; then all rows teach, and judge.
    whole = held == 0 or len(np.unique(truth[held:])) < len(classes)
    teach, judge = (slice(None), slice(None)) if whole else (slice(held, None), slice(held))
    models: list[Any] = [
        LogisticRegression(max_iter=200, C=10.0),
        MLPClassifier((_HIDDEN,), max_iter=_PASSES, random_state=seed % 2**32),
    ]
    with warnings.catch_warnings():
        # Both stop at a bound on their time, not at convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = [
            float(m.fit(rows[teach], truth[teach]).score(rows[judge], truth[judge])) for m in models
        ]
    linear, network = models
    if scores[0] >= scores[1]:
        return [_both(linear.coef_.T, linear.intercept_)], scores[0]
    first, last = zip(network.coefs_, network.intercepts_, strict=True)
    return [first, _both(*last)], scores[1]


def _both(weight: NDArray[Any], offset: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give two labels a column each, where one column tells the second from the first."""
    if weight.shape[1] > 1:
        return weight, offset
    return np.hstack([np.zeros_like(weight), weight]), np.hstack([0.0, offset])

"""Classifier of labels from codes, and samples of one label."""

import warnings
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo.data.labels import Label, find_label
from glo.errors import UserError, listed, suggest
from glo.priors.base import Prior, check_codes
from glo.priors.serialization import read_tensors_with_checksum, write_tensors_with_checksum
from glo.priors.whitening import Whitening
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["LabelClassifier", "load_labels", "sample_label", "save_labels"]

_MAX_ROWS = 60_000
_BLOCK = 2**16
_HIDDEN, _MAX_EPOCHS = 256, 15
# Samples per draw, and bounds of the search: it fails for a label of fewer than one sample in a
# thousand.
_DRAW, _MIN_DRAWS, _DRAWS_PER_SAMPLE = 1024, 10_000, 1000

_Layers = list[tuple[NDArray[Any], NDArray[Any]]]


@final
class LabelClassifier:
    """Predict the label of a code from the codes of labeled examples.

    Logistic regression and a network with one hidden layer are both fitted to whitened codes; the
    one with the higher accuracy on a held-out fifth is used.

    Attributes:
        names: names of the classes 0, 1, ....
        accuracy: share of the held-out codes whose label is predicted, 0 to 1.
        training_labels: int64 (N,), labels of the fit, -1 where missing, stored so that the
            classifier can be fitted again when rows are added or removed. Empty in files without.

    Example:
        >>> codes = torch.linspace(-1, 1, 60)[:, None]
        >>> classifier = LabelClassifier().fit(codes, (codes[:, 0] > 0).long() * 7)
        >>> classifier.predict(torch.tensor([[-0.8], [0.9]]))
        tensor([0, 7])
    """

    file: ClassVar[str] = "labels.safetensors"

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.accuracy = 0.0
        self.training_labels = torch.zeros(0, dtype=torch.int64)
        self._whitening: Whitening | None = None
        self._classes = torch.zeros(0, dtype=torch.int64)
        self._layers: list[tuple[Tensor, Tensor]] = []

    @property
    def classes(self) -> list[int]:
        """Labels that can be predicted, in ascending order."""
        return [int(label) for label in self._classes]

    def number(self, label: Label) -> int:
        """Return the number of a class from its name, a string or a number such as 3 or 0.5.

        Raises:
            UserError: there is no such class among the training examples.
        """
        number = find_label(label, self.names)
        if number in self.classes:
            return int(number)
        known = [self.names[number] for number in self.classes]
        raise UserError(
            f"label is {label}, which no training example has; choose one of {listed(known)}."
            f"{suggest(str(label), known)}"
        )

    @with_torch_defaults
    def fit(
        self, codes: Tensor, labels: Tensor, *, names: tuple[str, ...] = (), seed: int = 0
    ) -> Self:
        """Fit the classifier to at most 60,000 of the labeled codes.

        Args:
            codes: (N, D).
            labels: int64 (N,), -1 where missing.
            names: names of the classes 0, 1, ...; empty: their numbers.
            seed: seed of the split and of the network's weights.

        Raises:
            UserError: the numbers of codes and labels differ, no label is 0 or more, or the codes
                are not finite.
        """
        rows = check_codes(codes)
        if labels.shape != (len(rows),):
            raise UserError(
                f"labels have shape {tuple(labels.shape)} for {len(rows)} codes; give one label "
                f"for each code, (N,)."
            )
        order = np.random.default_rng(seed % 2**64).permutation(len(rows))
        chosen = order[(labels >= 0).numpy()[order]][:_MAX_ROWS]
        if not len(chosen):
            raise UserError(
                f"labels are -1, for a missing label, at all of {len(rows)} codes; give at least "
                f"one label of 0 or more."
            )
        self.training_labels = labels.clone()
        self._whitening = Whitening.fit(rows)
        self.names = tuple(names) or tuple(map(str, range(int(labels.max()) + 1)))
        white = self._whitening.forward(rows[chosen]).float().numpy()
        targets = labels[torch.from_numpy(chosen)].numpy().astype(np.int64)
        self._classes = torch.from_numpy(np.unique(targets))
        layers, self.accuracy = _fit_layers(white, targets, seed)
        self._layers = [
            (torch.from_numpy(w).float(), torch.from_numpy(b).float()) for w, b in layers
        ]
        return self

    @with_torch_defaults
    @torch.no_grad()
    def predict(self, codes: Tensor) -> Tensor:
        """Return the likeliest label of each of `codes`, (B, D): int64 (B,).

        Raises:
            UserError: the classifier is not fitted.
        """
        if self._whitening is None:
            raise UserError("The labels are not fitted; call fit(codes, labels) first.")
        predicted = []
        for part in codes.split(_BLOCK):
            hidden = self._whitening.forward(part).float()
            for i, (weight, bias) in enumerate(self._layers):
                hidden = torch.addmm(bias, hidden.relu() if i else hidden, weight)
            predicted.append(self._classes[hidden.argmax(1)])
        return torch.cat(predicted)

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights, biases, classes, labels of the rows, and the whitening."""
        assert self._whitening is not None, "saved after fitting"
        state = self._whitening.state_dict() | {"classes": self._classes}
        for i, (weight, bias) in enumerate(self._layers):
            state |= {f"weight.{i}": weight, f"bias.{i}": bias}
        return state | {"training_labels": self.training_labels.to(torch.int32)}

    def load_state_dict(
        self, state: dict[str, Tensor], *, names: tuple[str, ...] = (), accuracy: float = 0.0
    ) -> Self:
        """Set the tensors to those of `state_dict`, and return the classifier itself."""
        self._whitening, self._classes = Whitening.from_state_dict(state), state["classes"]
        depth = sum(name.startswith("weight.") for name in state)
        self._layers = [(state[f"weight.{i}"], state[f"bias.{i}"]) for i in range(depth)]
        self.names, self.accuracy = names, accuracy
        self.training_labels = state["training_labels"].long()
        return self

    def check(self) -> None:
        """Raise ValueError if the tensors do not fit each other."""
        for labels in (self._classes, self.training_labels):
            if labels.ndim != 1 or labels.dtype != torch.int64:
                raise ValueError("the labels are no list of integers")
        if self._layers[-1][1].shape != self._classes.shape:
            raise ValueError("the numbers of labels and of outputs differ")
        if not all(isinstance(name, str) for name in self.names):
            raise ValueError("the names are no strings")
        if any(number >= len(self.names) for number in self.classes):
            raise ValueError("a class has no name")
        assert self._whitening is not None, "checked after loading"
        self.predict(torch.zeros(1, len(self._whitening.mean)))


def sample_label(
    prior: Prior,
    classifier: LabelClassifier,
    label: int,
    n: int,
    *,
    seed: int,
    start: int = 0,
    temperature: float = 1.0,
) -> Tensor:
    """Draw codes of one label: those of the samples 0, 1, 2, ... of `seed` that have it.

    Sample j of a label and seed is therefore the same in any batch. At most
    10,000 + 1,000 (start + n) samples of the prior are drawn.

    Args:
        prior: fitted prior.
        classifier: classifier fitted to the same codes.
        label: number of the class, as `LabelClassifier.number` returns it.
        n: number of samples, 1 or more.
        seed: seed of the sequence of samples.
        start: index of the first sample among those of the label.
        temperature: factor of the prior's spread.

    Returns:
        float32 (n, D).

    Raises:
        UserError: too few samples have that label.
    """
    if n < 1:
        raise UserError(f"n is {n}; it must be above 0.")
    matches: list[Tensor] = []
    count, total = 0, start + n
    limit = _MIN_DRAWS + _DRAWS_PER_SAMPLE * total
    for first in range(0, limit, _DRAW):
        codes = prior.sample(_DRAW, seed=seed, start=first, temperature=temperature)
        matches.append(codes[classifier.predict(codes) == label])
        count += len(matches[-1])
        if count >= total:
            return torch.cat(matches)[start:total]
    raise UserError(
        f"Only {count} of {limit:,} samples have label {classifier.names[label]}, and {total} were "
        f"asked for; ask for fewer, raise the temperature, or choose another prior."
    )


def save_labels(classifier: LabelClassifier, folder: Path) -> Path:
    """Write a classifier to `folder`/labels.safetensors, atomically, and return the path."""
    description = {
        "name": "labels",
        "names": list(classifier.names),
        "accuracy": classifier.accuracy,
    }
    path = folder / LabelClassifier.file
    return write_tensors_with_checksum(path, description, classifier.state_dict())


@with_torch_defaults
def load_labels(folder: Path) -> LabelClassifier:
    """Read the classifier of a folder.

    Raises:
        UserError: the folder has none, or its file is damaged.
    """
    path = folder / LabelClassifier.file
    if not path.is_file():
        raise UserError(
            f"{folder} has no labels; train on examples with labels to sample by label."
        )
    try:
        description, state = read_tensors_with_checksum(path)
        names, accuracy = tuple(description["names"]), float(description["accuracy"])
        classifier = LabelClassifier().load_state_dict(state, names=names, accuracy=accuracy)
        classifier.check()
        return classifier
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        reason = f"{kind}{str(error).rstrip('.')}"
        raise UserError(f"{path} cannot be read as labels ({reason}); fit them again.") from None


def _fit_layers(
    rows: NDArray[np.float32], targets: NDArray[np.int64], seed: int
) -> tuple[_Layers, float]:
    """Return the layers of the more accurate of two models, and its accuracy.

    With nothing to hold out (one example of each label, or below five in all) it is NaN.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    classes, reversed_last = np.unique(targets[::-1], return_index=True)
    if len(classes) == 1:
        return [(np.zeros((rows.shape[1], 1)), np.zeros(1))], 1.0
    is_training = np.arange(len(rows)) >= len(rows) // 5
    # At least one example of every label, however rare.
    is_training[len(rows) - 1 - reversed_last] = True
    training, heldout = rows[is_training], rows[~is_training]
    linear = LogisticRegression(max_iter=200, C=10.0)
    network = MLPClassifier((_HIDDEN,), max_iter=_MAX_EPOCHS, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # Both stop at a bound on their time, not at convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Labels of one or two examples each are labels all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        linear.fit(training, targets[is_training])
        if not len(heldout):
            return [_two_columns(linear.coef_.T, linear.intercept_)], float("nan")
        network.fit(training, targets[is_training])
        scores = [float(each.score(heldout, targets[~is_training])) for each in (linear, network)]
    if scores[0] >= scores[1]:
        return [_two_columns(linear.coef_.T, linear.intercept_)], scores[0]
    first, last = zip(network.coefs_, network.intercepts_, strict=True)
    return [first, _two_columns(*last)], scores[1]


def _two_columns(weight: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a layer with one output per class, where a binary classifier has one for both."""
    if weight.shape[1] > 1:
        return weight, bias
    return np.hstack([np.zeros_like(weight), weight]), np.hstack([0.0, bias])

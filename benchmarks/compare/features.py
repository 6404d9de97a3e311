"""Feature networks: the bundled digit network, or the same architecture trained on other labels."""

import json
from pathlib import Path
from typing import final

import torch
from benchmarks.compare.problem import Problem
from benchmarks.digit_network import accuracy_on, fold, train
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from glo.features.base import Features, fit_images
from glo.features.digits import DigitNetwork, digit_features
from glo.utils.files import atomic_write

__all__ = ["find_features"]

_EPOCHS = 6
# The same network judges all seeds.
_SEED = 0


def find_features(problem: Problem, epochs: int = _EPOCHS) -> tuple[Features, str]:
    """Return the feature network of the data, and its description.

    Digits are judged by the network that comes with the package. Other labels are out of its
    domain, so a network of the same architecture learns them here, once per data set.

    Args:
        problem: the task, with labels.
        epochs: passes over the training images.
    """
    if problem.data == "mnist":
        return digit_features(), "the digit network that comes with the package"
    path = problem.shared / "models" / "features.safetensors"
    if not path.is_file():
        _learn(problem, path, epochs)
    network = DigitNetwork()
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
        network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    text = (
        f"a network of the digit network's architecture, trained {about['epochs']} epochs on these "
        f"labels, {100 * about['accuracy']:.2f} % of the test images right"
    )
    return _LabelFeatures(network), text


@final
class _LabelFeatures(Features):
    name = "labels"
    dim = 128

    def __init__(self, network: DigitNetwork) -> None:
        self._network = network.eval().requires_grad_(False)

    def __call__(self, images: Tensor) -> Tensor:
        return self._network.features(fit_images(images, 1, 32))


def _learn(problem: Problem, path: Path, epochs: int) -> None:
    torch.manual_seed(_SEED)
    network = fold(train(problem.whole, epochs=epochs, seed=_SEED))
    accuracy = accuracy_on(network, problem.test)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    about = json.dumps({"epochs": epochs, "accuracy": accuracy})
    with atomic_write(path) as writing:
        save_file(weights, writing, {"about": about})

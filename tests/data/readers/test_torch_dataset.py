import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, Subset, TensorDataset

from glo.data import SourceOptions, open_source
from glo.errors import UserError, UserTypeError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
ROWS = PIXELS.transpose(0, 2, 3, 1)


class Listed:
    """Dataset without a base class, as torchvision's but of any items."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter([1, 2])


@pytest.mark.parametrize(
    "images",
    [
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS) / 255,
        torch.from_numpy(PIXELS) / 127.5 - 1,
        torch.from_numpy(ROWS.copy()),
    ],
)
def test_images_of_any_range_and_layout(images):
    dataset = open_source(TensorDataset(images))
    assert (dataset.name, dataset.labels) == ("TensorDataset", None)
    assert np.array_equal(dataset.rows, ROWS)
    small = open_source(TensorDataset(images), SourceOptions(size=4, channels=1, limit=2))
    assert small.rows.shape == (2, 4, 4, 1)


def test_vectors_and_labels():
    vectors = torch.tensor([[1.0, float("nan")], [3.0, 4.0], [5.0, 6.0]])
    dataset = open_source(TensorDataset(vectors, torch.tensor([2, 0, 1])))
    assert np.array_equal(dataset.rows, vectors.numpy(), equal_nan=True)
    assert dataset.labels.tolist() == [2, 0, 1]
    short = open_source(TensorDataset(vectors.bfloat16()))
    assert short.rows.dtype == np.float32
    words = open_source(Listed([(vectors[0], "b"), (vectors[1], "a")]))
    assert (words.labels.tolist(), words.label_names) == ([1, 0], ("a", "b"))
    assert len(open_source(Listed(list(vectors.numpy())))) == 3


def test_class_names_and_pillow_images():
    images = [Image.fromarray(row) for row in ROWS]
    source = Listed([(image, k % 2) for k, image in enumerate(images)], classes=["cat", "dog"])
    for each in (source, Subset(source, range(6))):
        dataset = open_source(each)
        assert np.array_equal(dataset.rows, ROWS)
        assert dataset.label_names == ("cat", "dog")
        assert dataset.labels.tolist() == [0, 1, 0, 1, 0, 1]
    deep = [Image.fromarray(row[..., 0].astype(np.uint16) * 16) for row in ROWS]
    assert open_source(Listed(deep)).reading.white == 4095
    few = open_source(Listed(source.items, classes=["cat"]))
    assert few.label_names == ("0", "1")
    assert any("0 to 0" in note for note in few.notes)
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (Stream(), UserTypeError, "iterable-style dataset, Stream"),
        (Listed([]), UserError, "Listed is empty"),
        (Listed([torch.zeros(3), torch.zeros(4)]), UserError, "Item 1 .*Listed"),
        (Listed([torch.zeros(3), torch.zeros(3).double()]), UserError, "Item 1 .*float64"),
        (Listed([{"image": 1}]), UserTypeError, "Item 0 .*dict"),
        (Listed([(1, 2, 3)]), UserTypeError, "Item 0 .*tuple"),
        (Listed([("a", 2)]), UserTypeError, "Item 0 .*str"),
        (TensorDataset(torch.zeros(2, 3), torch.zeros(2, 3)), UserError, r"label .*\(3,\)"),
        (TensorDataset(torch.zeros(2)), UserError, r"shape \(2,\)"),
    ],
)
def test_datasets_that_cannot_be_used(source, error, words):
    with pytest.raises(error, match=words):
        open_source(source)


def test_there_is_no_test_split():
    with pytest.raises(UserError, match="'test'"):
        open_source(Listed([torch.zeros(3)]), SourceOptions(split="test"))

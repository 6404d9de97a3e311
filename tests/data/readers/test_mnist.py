import numpy as np
import pytest
from PIL import Image

from glo.data import SourceOptions, mnist, open_source
from glo.data.readers import mnist as module
from glo.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mnist")


def test_train(folder):
    dataset = mnist(cache=folder)
    assert repr(dataset) == "Dataset('mnist', n=60000, shape=(1, 32, 32), labelled)"
    assert dataset.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(dataset.labels)[0] == 5923
    # The published error of the mean image in [-1, 1].
    counts = np.bincount(dataset.rows.ravel())
    square = (counts * (np.arange(256) / 127.5 - 1) ** 2).sum() / counts.sum()
    mean = dataset.rows.mean(axis=0) / 127.5 - 1
    assert square - (mean**2).mean() == pytest.approx(0.2465, abs=0.0001)


def test_resized_as_pillow_does(folder):
    small = mnist(SourceOptions(split="test", size=28), cache=folder)
    large = mnist(SourceOptions(split="test", limit=50), cache=folder)
    assert (len(small), len(large)) == (10000, 50)
    for image, resized in zip(small.rows[:50, ..., 0], large.rows[..., 0], strict=True):
        expected = Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)
        assert np.array_equal(resized, np.asarray(expected))
    options = SourceOptions(split="test", size=16, channels=3, limit=4)
    assert open_source("mnist", options, cache=folder).shape == (3, 16, 16)


def test_damage_is_an_error(monkeypatch):
    monkeypatch.setitem(module._MD5, "t10k-labels-idx1-ubyte", "0" * 32)
    with pytest.raises(UserError, match="install glo again"):
        mnist(SourceOptions(split="test"))

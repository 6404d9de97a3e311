import numpy as np
import pytest
from PIL import Image

from glo.data import SourceOptions, mnist, open_source
from glo.data.readers import mnist as bundled
from glo.errors import UserError


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("mnist")


def test_train(kept):
    samples = mnist(cache=kept)
    assert repr(samples) == "Dataset('mnist', n=60000, shape=(1, 32, 32), labelled)"
    assert samples.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(samples.labels)[0] == 5923
    # The error of the mean image in [-1, 1] is a number that anyone can check.
    counts = np.bincount(samples.rows.ravel())
    square = (counts * (np.arange(256) / 127.5 - 1) ** 2).sum() / counts.sum()
    mean = samples.rows.mean(axis=0) / 127.5 - 1
    assert square - (mean**2).mean() == pytest.approx(0.2465, abs=0.0001)


def test_resized_by_pillow(kept):
    small = mnist(SourceOptions(split="test", size=28), cache=kept)
    large = mnist(SourceOptions(split="test", limit=50), cache=kept)
    assert (len(small), len(large)) == (10000, 50)
    for image, resized in zip(small.rows[:50, ..., 0], large.rows[..., 0], strict=True):
        expected = Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)
        assert np.array_equal(resized, np.asarray(expected))


def test_by_name_in_colour(kept):
    options = SourceOptions(split="test", size=16, channels=3, limit=4)
    assert open_source("mnist", options, cache=kept).shape == (3, 16, 16)


def test_damage_is_noticed(monkeypatch):
    monkeypatch.setitem(bundled._MD5, "t10k-labels-idx1-ubyte", "0" * 32)
    with pytest.raises(UserError, match="install glo again"):
        mnist(SourceOptions(split="test"))

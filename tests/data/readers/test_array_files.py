import gzip
import lzma

import numpy as np
import pytest

from glo.data import SourceOptions, open_source
from glo.errors import UserError, UserTypeError

TEST = SourceOptions(split="test")
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


def entries(cache):
    folder = cache / "samples"
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("array", [PIXELS, PIXELS[..., 0], PIXELS.transpose(0, 3, 1, 2)])
def test_npy_bytes_are_used_in_place(tmp_path, cache, array):
    np.save(tmp_path / "a.npy", array)
    samples = open_source(tmp_path / "a.npy")
    assert samples.name == "a"
    assert np.array_equal(samples.rows.reshape(6, 16, 16, -1)[..., 0], PIXELS[..., 0])
    assert entries(cache) == 0


def test_npy_vectors_are_used_in_place(tmp_path, cache):
    rows = np.array([[1, np.nan], [2, 3]], np.float32)
    np.save(tmp_path / "a.npy", rows)
    assert np.array_equal(open_source(tmp_path / "a.npy").rows, rows, equal_nan=True)
    assert entries(cache) == 0


def test_npy_of_another_kind_is_converted_once(tmp_path, cache):
    np.save(tmp_path / "a.npy", PIXELS / 255.0)
    for _ in range(2):
        assert np.array_equal(open_source(str(tmp_path / "a.npy")).rows, PIXELS)
    assert entries(cache) == 1
    limited = open_source(tmp_path / "a.npy", SourceOptions(size=8, limit=2))
    assert limited.rows.shape == (2, 8, 8, 3)


def test_npy_mistakes_name_the_file(tmp_path):
    for array, words in ((np.zeros((0, 4)), "empty"), (np.zeros((2, 3, 4, 5, 6)), "has shape")):
        np.save(tmp_path / "bad.npy", array)
        with pytest.raises(UserError, match=rf"bad\.npy.*{words}"):
            open_source(tmp_path / "bad.npy")
    np.save(tmp_path / "bad.npy", np.array([["a"]]))
    with pytest.raises(UserTypeError, match=r"bad\.npy is of dtype <U1"):
        open_source(tmp_path / "bad.npy")


@pytest.mark.parametrize("key", ["x", "images", "data", "arr_0", "whatever"])
def test_npz_names(tmp_path, key):
    np.savez_compressed(tmp_path / "a.npz", **{key: PIXELS})
    samples = open_source(tmp_path / "a.npz")
    assert np.array_equal(samples.rows, PIXELS)
    assert samples.labels is None


@pytest.mark.parametrize("key", ["y", "labels"])
def test_npz_labels(tmp_path, cache, key):
    np.savez(tmp_path / "a.npz", x=PIXELS, **{key: np.array(list("ccabab"))})
    for _ in range(2):
        samples = open_source(tmp_path / "a.npz", SourceOptions(limit=4))
        assert samples.labels.tolist() == [2, 2, 0, 1]
        assert samples.label_names == ("a", "b", "c")
    assert entries(cache) == 1


@pytest.mark.parametrize("style", ["x_{}", "{}_images"])
def test_npz_splits(tmp_path, style):
    labels = {"x_{}": "y_{}", "{}_images": "{}_labels"}[style]
    arrays = {style.format("train"): PIXELS, style.format("test"): PIXELS[:2]}
    arrays |= {labels.format("train"): np.arange(6), labels.format("test"): np.array([[7], [8]])}
    np.savez(tmp_path / "a.npz", **arrays)
    assert open_source(tmp_path / "a.npz").labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert open_source(tmp_path / "a.npz", TEST).labels.tolist() == [7, 8]


def test_npz_mistakes(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, left=PIXELS, right=PIXELS)
    with pytest.raises(UserError, match="left, right"):
        open_source(path)
    np.savez(path, x=PIXELS, y=np.arange(5))
    with pytest.raises(UserError, match=r"labels of shape \(5,\); give one label"):
        open_source(path)
    np.savez(path, x=PIXELS, y=np.array(3))
    with pytest.raises(UserError, match="labels"):
        open_source(path)
    np.savez(path, x=np.array(3))
    with pytest.raises(UserError, match=r"shape \(\)"):
        open_source(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read"):
        open_source(path)


@pytest.fixture
def idx_folder(tmp_path, idx_bytes, digits):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx_bytes(np.arange(6, dtype=np.uint8)))
    )
    (tmp_path / "t10k-images-idx3-ubyte.xz").write_bytes(lzma.compress(idx_bytes(digits[:2])))
    return tmp_path


def test_idx_folder(idx_folder, digits):
    train, test = open_source(idx_folder), open_source(idx_folder, TEST)
    assert train.shape == (1, 32, 32)
    assert train.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert (len(test), test.labels) == (2, None)
    assert train.name == idx_folder.name
    kept = open_source(idx_folder, SourceOptions(size=28, limit=3))
    assert np.array_equal(kept.rows[..., 0], digits[:3])


def test_idx_of_another_size_is_kept(tmp_path, idx_bytes, digits):
    name = "emnist-letters-train-images-idx3-ubyte.gz"
    (tmp_path / name).write_bytes(gzip.compress(idx_bytes(digits[:, :20, :24])))
    assert open_source(tmp_path).shape == (1, 20, 24)


def test_idx_plain_file_is_preferred_and_names_vary(tmp_path, idx_bytes, digits):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx_bytes(digits))
    (tmp_path / "train-images.idx3-ubyte.gz").write_bytes(b"broken")
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    assert open_source(tmp_path).labels.tolist() == [0] * 6


def test_idx_mistakes(idx_folder, idx_bytes, digits):
    (idx_folder / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx_bytes(np.arange(5, dtype=np.uint8)))
    )
    with pytest.raises(UserError, match=r"labels of shape \(5,\); give one label"):
        open_source(idx_folder)
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits)[:-1])
    with pytest.raises(UserError, match="less"):
        open_source(idx_folder)
    (idx_folder / "extra-images-idx3-ubyte").write_bytes(idx_bytes(digits))
    with pytest.raises(UserError, match="more than one train set"):
        open_source(idx_folder)
    (idx_folder / "t10k-images-idx3-ubyte.xz").unlink()
    with pytest.raises(UserError, match="no test set"):
        open_source(idx_folder, TEST)

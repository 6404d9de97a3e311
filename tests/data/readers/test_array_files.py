import gzip
import lzma

import numpy as np
import pytest

from glo.data import SourceOptions, open_source
from glo.errors import UserError, UserTypeError

TEST = SourceOptions(split="test")
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
NAN_ROWS = np.array([[1, np.nan], [2, 3]], np.float32)


def n_cached(cache):
    return len(list(cache.glob("samples/*")))


@pytest.mark.parametrize("array", [PIXELS, PIXELS[..., 0], PIXELS.transpose(0, 3, 1, 2), NAN_ROWS])
def test_npy_of_the_right_kind_is_used_in_place(tmp_path, cache, array):
    np.save(tmp_path / "a.npy", array)
    dataset = open_source(tmp_path / "a.npy")
    assert (dataset.name, dataset.is_mapped, n_cached(cache)) == ("a", True, 0)
    assert dataset.fingerprint == open_source(array).fingerprint


def test_npy_of_another_kind_is_converted_once(tmp_path, cache):
    np.save(tmp_path / "a.npy", PIXELS / 255.0)
    for _ in range(2):
        assert np.array_equal(open_source(str(tmp_path / "a.npy")).rows, PIXELS)
    assert n_cached(cache) == 1
    limited = open_source(tmp_path / "a.npy", SourceOptions(size=8, limit=2))
    assert limited.rows.shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((0, 4)), UserError),
        (np.zeros((2, 3, 4, 5, 6)), UserError),
        (np.array([["a"]]), UserTypeError),
        (np.zeros(2, [("a", "u1"), ("b", "f4")]), UserTypeError),
    ],
)
def test_npy_that_cannot_be_used(tmp_path, array, error):
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(error, match=r"bad\.npy"):
        open_source(tmp_path / "bad.npy")


@pytest.mark.parametrize("key", ["x", "images", "data", "arr_0", "whatever"])
def test_npz_names(tmp_path, key):
    np.savez_compressed(tmp_path / "a.npz", **{key: PIXELS})
    dataset = open_source(tmp_path / "a.npz")
    assert np.array_equal(dataset.rows, PIXELS)
    assert dataset.labels is None


@pytest.mark.parametrize("key", ["y", "labels"])
def test_npz_labels(tmp_path, cache, key):
    np.savez(tmp_path / "a.npz", x=PIXELS, **{key: np.array(list("ccabab"))})
    for _ in range(2):
        dataset = open_source(tmp_path / "a.npz", SourceOptions(limit=4))
        assert dataset.labels.tolist() == [2, 2, 0, 1]
        assert dataset.label_names == ("a", "b", "c")
    assert n_cached(cache) == 1


@pytest.mark.parametrize(("x", "y"), [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_npz_splits(tmp_path, x, y):
    arrays = {x.format("train"): PIXELS, x.format("test"): PIXELS[:2]}
    arrays |= {y.format("train"): np.arange(6), y.format("test"): np.array([[7], [8]])}
    np.savez(tmp_path / "a.npz", **arrays)
    assert open_source(tmp_path / "a.npz").labels.tolist() == [0, 1, 2, 3, 4, 5]
    test = open_source(tmp_path / "a.npz", TEST)
    assert (test.labels.tolist(), test.label_names) == ([0, 1], ("7", "8"))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"left": PIXELS, "right": PIXELS}, "left, right"),
        ({"x": PIXELS, "y": np.arange(5)}, r"labels of shape \(5,\)"),
        ({"x": PIXELS, "y": np.array(3)}, "labels"),
        ({"x": np.array(3)}, r"shape \(\)"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz.*{words}"):
        open_source(tmp_path / "bad.npz")


def test_npz_labels_of_other_shapes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=PIXELS, y=np.ones((6, 14)))
    dataset = open_source(path)
    assert dataset.labels is None
    assert any("14" in note for note in dataset.notes)
    np.savez(path, x=PIXELS, y=np.eye(6), other=np.arange(5))
    assert open_source(path).labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert open_source(f"{path}?label=none").labels is None
    with pytest.raises(UserError, match=r"labels of shape \(5,\)"):
        open_source(f"{path}?label=other")
    with pytest.raises(UserError, match="question mark"):
        open_source(f"{path}?columns=a")


def test_labels_of_idx_and_npy_can_be_left_out(idx_folder):
    assert open_source(f"{idx_folder}?label=none").labels is None
    np.save(idx_folder / "a.npy", PIXELS)
    assert len(open_source(f"{idx_folder / 'a.npy'}?label=none")) == 6
    for wrong in (f"{idx_folder}?label=a", f"{idx_folder / 'a.npy'}?label=a"):
        with pytest.raises(UserError, match="question mark"):
            open_source(wrong)


def test_the_cache_keeps_missing_pixels_reading_and_notes(tmp_path, cache):
    pixels = PIXELS / 127.5 - 1
    pixels[2, 3, 4] = np.nan
    np.save(tmp_path / "a.npy", pixels)
    for _ in range(2):
        dataset = open_source(tmp_path / "a.npy")
        assert np.argwhere(dataset.missing).tolist() == [[2, 3, 4, 0]]
        assert (dataset.reading.black, dataset.reading.white) == (-1, 1)
        assert len(dataset.notes) == 1
    assert n_cached(cache) == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_float64_vectors_in_a_file(tmp_path, order):
    values = np.asarray(np.arange(20.0).reshape(10, 2) / 86400 + 2_460_000, order=order)
    np.save(tmp_path / "a.npy", values)
    for _ in range(2):
        dataset = open_source(tmp_path / "a.npy")
        assert np.array_equal(dataset.rows, values)
        assert dataset.reading.dtype == "float64"


@pytest.fixture
def idx_folder(tmp_path, idx_bytes, digits):
    labels = gzip.compress(idx_bytes(np.arange(6, dtype=np.uint8)))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    (tmp_path / "t10k-images-idx3-ubyte.xz").write_bytes(lzma.compress(idx_bytes(digits[:2])))
    return tmp_path


def test_idx_folder(idx_folder, digits):
    train, test = open_source(idx_folder), open_source(idx_folder, TEST)
    assert (train.shape, train.name) == ((1, 32, 32), idx_folder.name)
    assert train.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert (len(test), test.labels) == (2, None)
    original = open_source(idx_folder, SourceOptions(size=28, limit=3))
    assert np.array_equal(original.rows[..., 0], digits[:3])


def test_idx_of_another_size_is_kept(tmp_path, idx_bytes, digits):
    name = "emnist-letters-train-images-idx3-ubyte.gz"
    (tmp_path / name).write_bytes(gzip.compress(idx_bytes(digits[:, :20, :24])))
    assert open_source(tmp_path).shape == (1, 20, 24)


def test_plain_idx_is_preferred_and_names_vary(tmp_path, idx_bytes, digits):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx_bytes(digits))
    (tmp_path / "train-images.idx3-ubyte.gz").write_bytes(b"broken")
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    assert open_source(tmp_path).labels.tolist() == [0] * 6


def test_idx_folders_that_cannot_be_used(idx_folder, idx_bytes, digits):
    labels = gzip.compress(idx_bytes(np.arange(5, dtype=np.uint8)))
    (idx_folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(UserError, match=r"labels of shape \(5,\)"):
        open_source(idx_folder)
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits)[:-1])
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        open_source(idx_folder)
    (idx_folder / "extra-images-idx3-ubyte").write_bytes(idx_bytes(digits))
    with pytest.raises(UserError, match="more than one train set"):
        open_source(idx_folder)
    (idx_folder / "t10k-images-idx3-ubyte.xz").unlink()
    with pytest.raises(UserError, match="no test set"):
        open_source(idx_folder, TEST)

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy_format

from glo.data import SourceOptions
from glo.data.readers import compressed
from glo.data.readers.npy import open_npy, read_npz, read_npz_examples
from glo.errors import UserError

ARRAYS = hnp.arrays(
    st.sampled_from(["u1", ">i2", "<f4", "f8", "?"]), hnp.array_shapes(max_dims=4, max_side=4)
)


def header(shape):
    file = io.BytesIO()
    npy_format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


@given(ARRAYS, st.booleans())
def test_any_array(tmp_path_factory, array, fortran):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.asfortranarray(array) if fortran else array)
    again = open_npy(path)
    assert again.dtype == array.dtype
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")
    assert not again.flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x07\x00" + b"x" * 100,
        b"hello world, this is not an array",
        b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16,
        b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
        header((10**6, 10**6, 10**6)) + b"few",
        header((2**62, 4)),
        header((2**63, 2**63)) + b"x",
        header((3,)) + b"four",
        header((3,)) + b"2",
        header((-1, -3)) + b"abc",
        header((0, 5)),
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 50,
        None,
    ],
)
def test_a_damaged_or_missing_file(tmp_path, content):
    path = tmp_path / "a.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npy"):
        open_npy(path)


def test_objects_are_never_unpickled(tmp_path):
    objects = np.array([{"a": 1}, None])
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    with pytest.raises(UserError, match=r"a\.npy.*objects"):
        open_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=objects)
    with pytest.raises(UserError, match=r"a\.npz.*Object"):
        read_npz(tmp_path / "a.npz", ("x",))


@pytest.mark.parametrize(
    ("names", "examples", "labels"),
    [
        ("odd", "odd", None),
        ("X Y", "X", "Y"),
        ("features targets other", "features", "targets"),
        ("x_train y_train x_test", "x_train", "y_train"),
        ("arr_0 arr_1", "arr_0", None),
    ],
)
def test_npz_names(tmp_path, names, examples, labels):
    arrays = {name: np.full(2, place) for place, name in enumerate(names.split())}
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_npz_examples(tmp_path / "a.npz", SourceOptions())
    assert np.array_equal(found.examples, arrays[examples])
    assert (found.labels is None) == (labels is None)
    assert labels is None or np.array_equal(found.labels, arrays[labels])
    unused = [name for name in arrays if name not in (examples, labels)]
    assert len(found.notes) == bool(unused)
    assert all(name in found.notes[0] for name in unused)


@pytest.mark.parametrize("names", ["x X", "x data", "left right", "x y labels"])
def test_npz_of_ambiguous_names(tmp_path, names):
    np.savez(tmp_path / "a.npz", **{name: np.zeros(2) for name in names.split()})
    with pytest.raises(UserError, match=names.replace(" ", ", ")):
        read_npz_examples(tmp_path / "a.npz", SourceOptions())


def test_npz_labels_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(2), y=np.ones(2), labels=np.zeros(2))
    chosen = read_npz_examples(tmp_path / "a.npz", SourceOptions(), "labels")
    assert chosen.labels.tolist() == [0, 0]
    assert read_npz_examples(tmp_path / "a.npz", SourceOptions(), "none").labels is None
    with pytest.raises(UserError, match="label"):
        read_npz_examples(tmp_path / "a.npz", SourceOptions(), "lables")


def test_npz_that_claims_too_much(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    monkeypatch.setattr(compressed, "MAX_UNPACKED_BYTES", 1000)
    for content in (header((10**6, 10**6)) + b"few", header((5000,)) + bytes(5000)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
        with pytest.raises(UserError, match=r"a\.npz"):
            read_npz(path, ("x",))


@pytest.mark.parametrize("cut", [0, 10, 100, -30, -1])
def test_npz_cut_off(tmp_path, cut):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(100))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"a\.npz"):
        read_npz(path, ("x",))


def test_npz_with_a_flipped_bit(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(1000))
    content = bytearray(path.read_bytes())
    content[4000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="CRC"):
        read_npz(path, ("x",))

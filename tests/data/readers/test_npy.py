import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy_format

from glo.data.readers import compressed
from glo.data.readers.npy import open_npy, read_npz
from glo.data.storage import RowWriter, check_space
from glo.errors import UserError

ARRAYS = hnp.arrays(
    st.sampled_from(["u1", ">i2", "<f4", "f8", "?"]), hnp.array_shapes(max_dims=4, max_side=4)
)


def header(shape, descr="|u1", fortran=False):
    file = io.BytesIO()
    facts = {"descr": descr, "fortran_order": fortran, "shape": shape}
    npy_format.write_array_header_1_0(file, facts)
    return file.getvalue()


@given(ARRAYS, st.booleans())
def test_any_array_comes_back(tmp_path_factory, array, fortran):
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
    ],
)
def test_header_that_lies_is_refused_before_memory_is_taken(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npy"):
        open_npy(path)


def test_objects_and_records_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}, None]), allow_pickle=True)
    with pytest.raises(UserError, match=r"a\.npy.*objects"):
        open_npy(path)
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}, None]))
    with pytest.raises(UserError, match=r"a\.npz.*[Oo]bject"):
        read_npz(tmp_path / "a.npz", ("x",))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        open_npy(tmp_path / "none.npy")


def test_npz_gives_the_most_welcome_name(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.zeros(2), x=np.ones(3))
    name, array = read_npz(path, ("x", "data"))
    assert (name, array.tolist()) == ("x", [1, 1, 1])
    assert read_npz(path, ("y",)) is None
    assert read_npz(path, ("y",), or_only=True) is None
    np.savez(path, odd=np.zeros(2))
    assert read_npz(path, ("y",), or_only=True)[0] == "odd"


def write_member(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)


def test_npz_bombs_and_lies(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    write_member(path, header((10**6, 10**6)) + b"few")
    with pytest.raises(UserError, match="x"):
        read_npz(path, ("x",))
    monkeypatch.setattr(compressed, "MAX_UNPACKED_BYTES", 1000)
    write_member(path, header((5000,)) + bytes(5000))
    with pytest.raises(UserError, match=r"unpacks to .* \.npy file"):
        read_npz(path, ("x",))


@pytest.mark.parametrize("cut", [0, 10, 100, -30, -1])
def test_npz_cut_off(tmp_path, cut):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(100))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"a\.npz cannot be read"):
        read_npz(path, ("x",))


def test_npz_with_a_flipped_bit(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(1000))
    content = bytearray(path.read_bytes())
    content[4000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="CRC"):
        read_npz(path, ("x",))


@pytest.mark.parametrize("on_disk", [True, False])
def test_writer(tmp_path, on_disk):
    path = tmp_path / "rows.npy"
    writer = RowWriter(tmp_path if on_disk else None, (2, 3), np.float32, max_rows=10)
    chunks = [np.full((n, 2, 3), n, np.float32) for n in (1, 4, 2)]
    for chunk in chunks:
        writer.append(chunk)
    rows = writer.finish()
    assert np.array_equal(rows, np.concatenate(chunks))
    if on_disk:
        assert np.array_equal(np.load(path), rows)


def test_writer_takes_strided_rows(tmp_path):
    writer = RowWriter(tmp_path, (3, 2), np.uint8, max_rows=4)
    rows = np.arange(24, dtype=np.uint8).reshape(4, 2, 3).transpose(0, 2, 1)
    writer.append(rows)
    assert np.array_equal(writer.finish(), rows)


def test_memory_check():
    check_space(None, 2**30 - 1)
    with pytest.raises(UserError, match="GLO_CACHE"):
        check_space(None, 2**30)

"""NumPy's .npz files, zip archives of .npy files, read without trusting them."""

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from numpy.lib import format as npy_format
from numpy.typing import NDArray

from glo.data.limits import check_unpacking
from glo.data.readers.npy import DAMAGE, check_length, read_npy_header, reason_of
from glo.errors import UserError
from glo.utils.files import open_plain

__all__ = ["npz_names", "read_npz"]

# Bytes of a list of arrays in a .npz file: thousands of them.
_LONGEST_LIST = 2**20


def read_npz(
    path: Path, wanted: tuple[str, ...], *, or_only: bool = False
) -> tuple[str, NDArray[Any]] | None:
    """Read the first of the named arrays that a .npz file holds.

    Args:
        path: the file.
        wanted: names, the most welcome first.
        or_only: take the only array when the file holds just one, whatever its name.

    Returns:
        name and array, or None if there is none of these names.

    Raises:
        UserError: if the file is damaged, or the array unpacks to more than 4 GiB.
        UserTypeError: if the array holds Python objects or records.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.zeros((2, 3)), y=np.arange(2))
        >>> read_npz(path, ("labels", "y"))
        ('y', array([0, 1]))
    """
    try:
        with _open_zip(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
            found = [name for name in wanted if name in names]
            if not found and or_only and len(names) == 1:
                found = names
            return (found[0], _read_member(archive, found[0])) if found else None
    except UserError as error:
        raise type(error)(f"{path}: {error}") from None
    except (*DAMAGE, NotImplementedError) as error:
        raise UserError(
            f"{path} cannot be read as a .npz file ({reason_of(error)}); save it again with"
            " numpy.savez."
        ) from error


def npz_names(path: Path) -> list[str]:
    """List the arrays of a .npz file that `read_npz` has opened before."""
    with _open_zip(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


@final
class _ShortReads(io.BufferedReader):
    """A file of which nobody reads much at a time.

    `zipfile` reads the list of what is in an archive at once, however long it claims to be, and
    makes an object of a kilobyte for each line of 46 bytes.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        whole = size is None or size < 0
        content = super().read(_LONGEST_LIST + 1 if whole else min(size or 0, _LONGEST_LIST + 1))
        if len(content) > _LONGEST_LIST:
            raise UserError("it lists more than a file of arrays does; save it with numpy.savez.")
        return content


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    plain = open_plain(path)
    with _ShortReads(plain.detach()) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _size_of(archive: zipfile.ZipFile) -> int:
    assert archive.fp is not None, "it is open"
    return os.fstat(archive.fp.fileno()).st_size


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(name + ".npy")
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise UserError(f"array {name!r} is not as long as the file says; save it again.")
    try:
        advice = "save it with numpy.save, a .npy file is used without loading it"
        check_unpacking(min(info.compress_size, _size_of(archive)), info.file_size, advice)
    except UserError as error:
        raise UserError(f"array {name!r} is refused: {error}") from None
    with archive.open(info) as file:
        shape, _, dtype = read_npy_header(file)
        check_length(f"array {name!r}", shape, dtype, info.file_size - file.tell())
    with archive.open(info) as file:
        array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
    return array

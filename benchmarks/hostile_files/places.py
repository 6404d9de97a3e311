"""Unusual names and file types in a folder of images."""

import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .damage import Random

__all__ = ["FAMILIES", "good_image"]

_NAMES = (
    b"new\nline.png", b"\x1b[31mred\x1b[0m.png", b"\x1b]0;title\x07.png", b"caf\xe9.png",
    b"\xff\xfe.png", b"x" * 251 + b".png", "\u202egnp.exe.png".encode(), b"-rf.png",
    b"$(true).png", b"a;b|c&d.png", b"%s%n%d.png", b"'quote\".png", b"..png", b" .png", b"\t.png",
    b"\r.png", b"a.png.png", b"CON.png", b"9" * 250 + b".png", "é".encode() * 120 + b".png",
    b"<b>.png", b"\x7f.png", "😀.png".encode(), b"*.png",
)  # fmt: skip


def good_image() -> bytes:
    """Return a valid image."""
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, "PNG")
    return file.getvalue()


def _named(folder: Path, random: Random) -> Path:
    name = _NAMES[int(random.integers(0, len(_NAMES)))]
    path = folder / os.fsdecode(name)
    path.write_bytes(good_image() if random.random() < 0.7 else b"nothing")
    return path


def _not_plain(folder: Path, random: Random) -> Path:
    path, kind = folder / "hostile.png", int(random.integers(0, 5))
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        where = os.getcwd()
        # The address of a socket is short; its folder may be deep.
        os.chdir(folder)
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(where)
    else:
        path.symlink_to("/dev/zero" if kind == 3 else "/dev/stdin")
    return path


def _linked(folder: Path, random: Random) -> Path:
    path = folder / "hostile.png"
    (folder.parent / "outside.png").write_bytes(good_image())
    targets = [
        "../outside.png",
        "hostile.png",
        "nowhere.png",
        ".",
        "..",
        "/",
        "good.png",
        "/proc/self/mem",
    ]
    path.symlink_to(targets[int(random.integers(0, len(targets)))])
    return path


def _sparse(folder: Path, random: Random) -> Path:
    """Write a long sparse file."""
    heads = {
        ".webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        ".avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        ".png": good_image()[:60], ".gif": b"GIF89a\x10\0\x10\0\0\0\0",
        ".tif": b"II*\0\x08\0\0\0\xff\xff",
        ".jpg": b"\xff\xd8\xff\xe0\xff\xff", ".jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        ".ppm": b"P5 8 8 255\n",
    }  # fmt: skip
    suffix = list(heads)[int(random.integers(0, len(heads)))]
    path = folder / f"hostile{suffix}"
    with path.open("wb") as file:
        file.write(heads[suffix])
        file.truncate(int(random.choice([2**24 + 1, 2**29, 2**34])))
    return path


FAMILIES: dict[str, Callable[[Path, Random], Path]] = {
    "odd names": _named,
    "not plain files": _not_plain,
    "links": _linked,
    "very long files": _sparse,
}

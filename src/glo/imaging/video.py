"""Animations: GIF files, and MP4 files by ffmpeg."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from glo.errors import UserError
from glo.utils.files import atomic_write

__all__ = ["ping_pong", "save_gif", "save_mp4", "upscale"]

# Frames per second; GIF delays are in hundredths of a second, so 25 is exact.
_RATE = 25
_REST_FRAMES = 10
_SIDE = 256


def upscale(picture: Image.Image, side: int = _SIDE) -> Image.Image:
    """Enlarge a small picture by a whole factor until its longer side has about `side` pixels.

    Example:
        >>> upscale(Image.new("L", (28, 14))).size
        (252, 126)
    """
    zoom = max(1, round(side / max(picture.size)))
    width, height = picture.size
    return picture.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)


def ping_pong(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return a loop of frames: forward, a rest of ten frames, backward, and a rest of ten frames.

    Example:
        >>> frames = [Image.new("L", (1, 1), gray) for gray in range(3)]
        >>> [frame.getpixel((0, 0)) for frame in ping_pong(frames)][9:12]
        [0, 1, 2]
    """
    first, last = [frames[0]] * (_REST_FRAMES - 1), [frames[-1]] * (_REST_FRAMES - 1)
    return [*first, *frames, *last, *frames[-2:0:-1]]


def save_gif(frames: Sequence[Image.Image], path: Path) -> Path:
    """Write frames, 25 per second, as an endlessly repeated GIF atomically; return its path."""
    with atomic_write(path) as writing:
        frames[0].save(
            writing,
            format="GIF",
            save_all=True,
            append_images=list(frames[1:]),
            duration=1000 // _RATE,
            loop=0,
        )
    return path


def save_mp4(frames: Sequence[Image.Image], path: Path) -> Path:
    """Write frames of one size, 25 per second, as MP4 by ffmpeg atomically; return the path."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError(
            f"{path} needs the program ffmpeg, which is not on the PATH; install it, or give a "
            f"name that ends in .gif."
        )
    width, height = frames[0].size
    # Players need 4:2:0 chroma subsampling, which needs even sides.
    command = [
        *(program, "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(_RATE)),
        *("-i", "pipe:0", "-an", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"),
        *("-movflags", "+faststart"),
    ]
    content = b"".join(np.asarray(frame.convert("RGB")).tobytes() for frame in frames)
    with atomic_write(path) as writing:
        command.append(os.path.abspath(writing))
        process = subprocess.run(command, input=content, capture_output=True, check=False)
        if process.returncode != 0 or not writing.is_file():
            errors = process.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = errors[-1] if errors else f"exit code {process.returncode}"
            raise UserError(f"ffmpeg could not write {path} ({reason}); give a .gif file instead.")
    return path

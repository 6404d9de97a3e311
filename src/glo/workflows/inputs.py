"""Examples that somebody brings to a finished run: opened, named, and of the shape it knows."""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch

from glo.data import Dataset, SourceOptions, open_source
from glo.data.cache import cache_folder
from glo.data.options import Split
from glo.data.readers.folder import Listing, list_images, read_images
from glo.data.readers.idx import is_idx_name
from glo.data.readers.images import image_suffixes, probe
from glo.data.storage import MAX_MEMORY_BYTES, is_dataset_folder
from glo.errors import UserError, printable
from glo.runs.run import Run

__all__ = ["Inputs", "open_inputs"]

_CHUNK = 2048


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Examples with a name each.

    Attributes:
        samples: n examples.
        names: of each: its file as it was given, or its source and row.
        files: image files, one for each example; none where they are not files of their own.
        skipped: one sentence for each file, row or line that was left out.
    """

    samples: Dataset
    names: tuple[str, ...]
    files: tuple[Path, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)


def open_inputs(
    run: Run,
    files: Sequence[str],
    *,
    split: Split = "train",
    limit: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> Inputs:
    """Open what the user named.

    Args:
        run: the run that they are shown to.
        files: image files and folders of them, or one other source.
        split: of a source that has two.
        limit: the first so many alone; None for all.
        shape: None: images are cut and scaled as those of the training were. Else they must have
            this shape already, (C, H, W), since scaling would undo what is known of the damage.

    Raises:
        UserError: nothing is named, nothing can be read, or it has another shape.

    Example:
        >>> open_inputs(open_run("runs/mnist"), ["mnist"], split="test")  # doctest: +SKIP
    """
    if not files:
        raise UserError(
            "No FILES were given; name image files, a folder, a .npy or .npz file, or mnist."
        )
    options = SourceOptions(split=split, limit=limit)
    found = [_images_at(file) for file in files]
    if all(each is not None for each in found):
        return _open_images(run, [each for each in found if each is not None], options, shape)
    if len(files) > 1:
        other = files[next(place for place, each in enumerate(found) if each is None)]
        # A name that is not there is said before what is there twice.
        open_source(other, replace(options, limit=1))
        raise UserError(
            f"{other} is neither an image file nor a folder of them, so it cannot be joined "
            f"with others; give it alone."
        )
    samples = _open_other(run, files[0], options, shape)
    names = tuple(f"{samples.name}[{row}]" for row in range(len(samples)))
    _check_not_empty(samples, names)
    return Inputs(samples=run.standardize(samples), names=names, skipped=samples.skipped)


def _images_at(file: str) -> Listing | None:
    """Return the images that a name stands for, or None where it stands for something else."""
    try:
        path = Path(file).expanduser()
        if file == "mnist" or not path.exists():
            return None
        if path.is_dir():
            is_other = is_dataset_folder(path) or any(
                is_idx_name(name) for name in os.listdir(path)
            )
            listing = None if is_other else list_images(path)
            return listing if listing is not None and listing.names else None
    except (OSError, ValueError, RuntimeError):
        return None
    is_image = path.is_file() and path.suffix.lower() in image_suffixes()
    return Listing(Path(), [os.fspath(path)]) if is_image else None


def _open_images(
    run: Run, found: list[Listing], options: SourceOptions, shape: tuple[int, ...] | None
) -> Inputs:
    if options.split != "train":
        raise UserError("Image files have no 'test' split; leave --split away.")
    if len(run.data.shape) != 3:
        raise UserError(f"FILES are images, but {_wanted(run, run.data.shape)}.")
    paths = [os.fspath(path) for listing in found for path in listing.paths]
    listing = Listing(Path(), paths, skipped=[reason for own in found for reason in own.skipped])
    wanted = shape or run.data.shape
    try:
        samples = _decoded(listing, _fitted(run, wanted, options), wanted)
    except UserError:
        if listing.decoded or not listing.skipped:
            raise
        reasons = "; ".join(listing.skipped[:3])
        raise UserError(f"None of FILES can be read ({reasons}); check them.") from None
    _check_shape(run, samples, wanted)
    files = tuple(map(Path, listing.decoded))
    if shape is not None:
        _check_sizes(run, files, shape)
    return Inputs(
        samples=samples,
        names=tuple(printable(str(file)) for file in files),
        files=files,
        skipped=tuple(listing.skipped),
    )


def _decoded(listing: Listing, options: SourceOptions, shape: tuple[int, ...]) -> Dataset:
    """Decode images into memory, or what is too large for it into a folder that goes with them."""
    count = min(len(listing.names), options.limit or len(listing.names))
    room = _new_room() if count * math.prod(shape) >= MAX_MEMORY_BYTES else None
    if room is None:
        return read_images(listing, options, None)
    try:
        samples = read_images(listing, options, room)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise
    # Those made from it stay readable: a file lives as long as its map.
    weakref.finalize(samples, shutil.rmtree, room, ignore_errors=True)
    return samples


def _new_room() -> Path | None:
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="seen-", dir=cache_folder()))
    except OSError:
        return None


def _open_other(
    run: Run, file: str, options: SourceOptions, shape: tuple[int, ...] | None
) -> Dataset:
    wanted = shape or run.data.shape
    fitted = _fitted(run, wanted, options)
    if shape is not None:
        fitted = replace(fitted, size=None)
    try:
        samples = open_source(file, fitted)
    except UserError:
        # Vectors refuse a size that their owner did not ask for: say what is really wrong.
        _check_shape(run, open_source(file, options), wanted, only_kind=True)
        raise
    _check_shape(run, samples, wanted)
    return samples


def _fitted(run: Run, shape: tuple[int, ...], options: SourceOptions) -> SourceOptions:
    if len(shape) != 3:
        return options
    channels, height, width = shape
    size = height if height == width else None
    return replace(options, size=size, channels=channels, crop=run.settings.crop)


def _check_sizes(run: Run, files: Sequence[Path], shape: tuple[int, ...]) -> None:
    for path in files:
        found = probe(path)
        if (found.height, found.width) != shape[1:]:
            raise UserError(
                f"{path} is of {found.height} x {found.width} pixels, but {_wanted(run, shape)}."
            )


def _check_shape(
    run: Run, samples: Dataset, shape: tuple[int, ...], *, only_kind: bool = False
) -> None:
    same = len(samples.shape) == len(shape) if only_kind else samples.shape == shape
    if not same:
        kind = "images" if samples.is_images else "vectors"
        given = " x ".join(map(str, samples.shape))
        raise UserError(f"{samples.name} holds {kind} of {given}, but {_wanted(run, shape)}.")


def _check_not_empty(samples: Dataset, names: tuple[str, ...]) -> None:
    for rows in torch.arange(len(samples)).split(_CHUNK):
        observed = samples.observed(rows)
        if observed is None:
            return
        empty = ~(observed > 0).flatten(1).any(1)
        if bool(empty.any()):
            row = int(rows[empty][0])
            raise UserError(f"Every value of {names[row]} is missing; leave it out.")


def _wanted(run: Run, shape: tuple[int, ...]) -> str:
    given = " x ".join(map(str, shape))
    if shape != run.data.shape:
        whole = " x ".join(map(str, run.data.shape))
        return f"this task takes images of {given} for examples of {whole}; give that size"
    kind = f"images of {given}" if len(shape) == 3 else f"vectors of {given} numbers"
    return f"{run.folder} was trained on {kind}; give that size"

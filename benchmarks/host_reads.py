"""Host reads of a training: operations that wait for the device, counted on the CPU.

    python -m benchmarks.host_reads [--steps 100]

On a GPU each of them stops the queue of operations until its result has arrived. On the CPU they
cost nothing, but the same operations are made.
"""

import argparse
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import glo
from glo.training.loop import train

__all__ = ["HostReads", "count_reads"]

aten = torch.ops.aten
# Results that the host needs, as numbers or as shapes.
READS = {
    aten._local_scalar_dense,
    aten._coalesce,
    aten._unique2,
    aten.allclose,
    aten.equal,
    aten.is_nonzero,
    aten.item,
    aten.masked_select,
    aten.nonzero,
    aten.repeat_interleave,
    aten.unique_consecutive,
    aten.unique_dim,
}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
COPIES = {aten._to_copy, aten.copy_}
# Methods that dispatch nothing on the CPU.
METHODS = {Tensor.cpu, Tensor.tolist, Tensor.numpy, Tensor.__array__}


class HostReads:
    """Context that counts operations whose result the host waits for.

    These are numbers (`float`, `bool`, `item`, `tolist`, `numpy`, `cpu`), copies to the CPU, and
    operations whose shape depends on values (masks as indices, `nonzero`, `coalesce`, `unique`).

    Attributes:
        places: number of reads by the line of the package or of the caller that made them.

    Example:
        >>> with HostReads() as reads:
        ...     value = float(torch.ones(3).sum())
        >>> reads.count
        1
    """

    def __init__(self) -> None:
        self.places: Counter[str] = Counter()
        self._stack = ExitStack()

    @property
    def count(self) -> int:
        """Number of reads."""
        return self.places.total()

    def __enter__(self) -> Self:
        self._stack.enter_context(_Functions(self.places))
        self._stack.enter_context(_Operations(self.places))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class _Operations(TorchDispatchMode):
    def __init__(self, places: "Counter[str]") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places = places

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        is_read = packet in READS
        if packet in INDEXED:
            is_read = _has_mask(args[1])
        elif packet in COPIES:
            is_read = _leaves_device(result, args)
        if is_read:
            self._places[_place()] += 1
        return result


class _Functions(TorchFunctionMode):
    def __init__(self, places: "Counter[str]") -> None:
        super().__init__()
        self._places = places

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in METHODS:
            self._places[_place()] += 1
        return func(*args, **(kwargs or {}))


def _has_mask(indices: Any) -> bool:
    masks = (torch.bool, torch.uint8)
    return any(index is not None and index.dtype in masks for index in indices)


def _leaves_device(result: Tensor, args: Any) -> bool:
    sources = [each for each in args if isinstance(each, Tensor)]
    return result.device.type == "cpu" and any(each.device.type != "cpu" for each in sources)


def _place() -> str:
    """Return file and line of the last call outside torch and this file."""
    for frame in reversed(traceback.extract_stack()):
        if "torch/" not in frame.filename and frame.filename != __file__:
            return f"{Path(frame.filename).name}:{frame.lineno} {frame.line}"
    return "unknown"


def count_reads(data: Any, settings: glo.Settings, folder: Path, **options: Any) -> HostReads:
    """Count the reads of `glo.train`, callbacks included, from the first step to the last record.

    Args:
        data: training data.
        settings: settings of the run.
        folder: path of the run folder.
        options: further arguments of `glo.train`.
    """
    reads = HostReads()

    def counted(*args: Any) -> Iterator[Any]:
        # Active between the steps, too, while the callbacks run.
        with reads:
            yield from train(*args)

    with mock.patch("glo.workflows.train.train_loop", counted):
        glo.train(data, settings=settings, run_dir=folder, **options)
    return reads


def main() -> None:
    """Print the reads per step of an epoch of small batches, and where they are made."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=100)
    steps = parser.parse_args().steps
    settings = glo.Settings(
        epochs=1, batch_size=8, limit=8 * steps, width=32, refine_passes=0, prior="gaussian",
        device="cpu",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        reads = count_reads("mnist", settings, Path(folder) / "run", verbose=0)
    print(f"{reads.count} reads in {steps} steps: {reads.count / steps:.3f} a step")
    for place, count in reads.places.most_common():
        print(f"{count:6d}  {place}")


if __name__ == "__main__":
    main()

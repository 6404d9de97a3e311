"""Torch's initial defaults for the duration of a call, and the user's after it."""

import functools
import inspect
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch.backends import cudnn

__all__ = ["torch_defaults", "with_torch_defaults"]

P = ParamSpec("P")
R = TypeVar("R")


class _SharedDefaults:
    """Defaults that all threads share, while any thread is in a call.

    They are float32, and the deterministic kernels of cuDNN, for an exact resume on a GPU. The
    first call stores the user's and the last one restores them.
    """

    def __init__(self) -> None:
        self._lock, self._calls, self._outside = threading.Lock(), 0, _read_shared()

    def __enter__(self) -> None:
        with self._lock:
            if self._calls == 0:
                self._outside = _read_shared()
            self._calls += 1
            _set_shared(torch.float32, deterministic=True, benchmark=False)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                dtype, deterministic, benchmark = self._outside
                _set_shared(dtype, deterministic=deterministic, benchmark=benchmark)


def _read_shared() -> tuple[torch.dtype, bool, bool]:
    return torch.get_default_dtype(), cudnn.deterministic, cudnn.benchmark


def _set_shared(dtype: torch.dtype, *, deterministic: bool, benchmark: bool) -> None:
    torch.set_default_dtype(dtype)
    cudnn.deterministic, cudnn.benchmark = deterministic, benchmark


_shared_defaults = _SharedDefaults()


@contextmanager
def torch_defaults(*, gradients: bool = True) -> Iterator[None]:
    """Set float32, the CPU, gradients and no autocast as torch's defaults in a `with` block.

    Inference mode ends in the block, and cuDNN uses deterministic kernels; `gradients` is whether
    gradients are computed.
    """
    with ExitStack() as stack:
        stack.enter_context(_shared_defaults)
        # The mode of a device slows every call of torch down.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        accelerator = torch.accelerator.current_accelerator()
        for kind in {"cpu", accelerator.type if accelerator else "cpu"}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def with_torch_defaults(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function, or the steps of a generator function, to run under `torch_defaults`."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch_defaults():
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generate(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, None, Any]:
        items = cast(Generator[Any, None, Any], function(*args, **kwargs))
        try:
            while True:
                with torch_defaults():
                    try:
                        item = next(items)
                    except StopIteration as end:
                        return end.value
                yield item
        finally:
            with torch_defaults():
                items.close()

    return cast(Callable[P, R], generate) if inspect.isgeneratorfunction(function) else call

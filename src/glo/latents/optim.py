"""Row-wise optimizers: each row of a table has its own moments and step count.

They are `torch.optim.Optimizer`s for parameters with row-sparse gradients, as `LatentCodes` and
`nn.Embedding(sparse=True)` give them. A step reads and writes the rows of its batch and no others.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = ["RowAdam", "RowOptimizer", "RowSGD"]

Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]


class RowOptimizer(Optimizer, ABC):
    """Base class of row-wise optimizers of tables, (N, D) each, with row-sparse gradients."""

    # For copies and pickles, which leave out what is no torch state.
    _store = IN_MEMORY

    def __init__(
        self, params: Iterable[Any], defaults: dict[str, Any], store: RowStore = IN_MEMORY
    ) -> None:
        self._store = store
        super().__init__(params, defaults)

    @abstractmethod
    def state_shapes(self, n: int, dim: int) -> Shapes:
        """Return shape and dtype of each state tensor of `n` rows of length `dim`, rows first."""

    @abstractmethod
    def row_update(
        self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor:
        """Update the state of a batch of rows, (B, ...), in place; return the change, (B, D)."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the rows that have a gradient.

        Args:
            closure: re-evaluates the loss, as in torch.

        Raises:
            RuntimeError: a gradient is dense, so that the rows of the batch are unknown.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, *row_gradient(table), group)
        return loss

    @torch.no_grad()
    def step_rows(self, rows: Tensor, gradient: Tensor, moves: Tensor | None = None) -> None:
        """Move rows of the first table by gradients that the caller has computed.

        Nothing is read from the device, which sorting the rows of a sparse gradient needs.

        Args:
            rows: int64 (B,), each number once.
            gradient: gradients of these rows, (B, D).
            moves: bool (B,); rows where it is False keep code and state, bit for bit, whatever
                their gradient is. None: all rows move.
        """
        group = self.param_groups[0]
        self._move(group["params"][0], rows, gradient, group, moves)

    def _move(
        self,
        table: Tensor,
        rows: Tensor,
        gradient: Tensor,
        group: dict[str, Any],
        moves: Tensor | None = None,
    ) -> None:
        tensors = self.row_state(table)
        batch = {name: value[rows] for name, value in tensors.items()}
        change = self.row_update(batch, gradient, group)
        tensors, batch = {**tensors, "": table}, {**batch, "": table[rows] + change}
        for name, value in tensors.items():
            moved = batch[name]
            if moves is not None:
                mask = moves.view(-1, *[1] * (value.ndim - 1))
                moved = torch.where(mask, moved, value[rows])
            value[rows] = moved

    def row_state(self, table: Tensor | None = None) -> dict[str, Tensor]:
        """Return the state of a table, by default the first one, created as zeros at first use."""
        if table is None:
            table = self.param_groups[0]["params"][0]
        state: dict[str, Tensor] = self.state[table]
        if not state:
            n, dim = table.shape
            for name, (shape, dtype) in self.state_shapes(n, dim).items():
                state[name] = self._store.zeros(name, shape, dtype).to(table.device)
        return state

    def reset_rows(self, rows: Tensor, table: Tensor | None = None) -> None:
        """Set the state of `rows`, int64 (B,), to that of rows that never moved."""
        for value in self.row_state(table).values():
            value[rows] = 0


def row_gradient(table: nn.Parameter) -> tuple[Tensor, Tensor]:
    """Return row numbers, int64 (B,), each once, and their gradients, (B, D), of a table."""
    gradient = table.grad
    if gradient is None or not gradient.is_sparse:
        raise RuntimeError(
            "Row-wise optimizers need sparse gradients, which name the rows of the batch; use "
            "glo.LatentCodes or torch.nn.Embedding(sparse=True)."
        )
    gradient = gradient.coalesce()
    return gradient.indices()[0], gradient.values()


@final
class RowSGD(RowOptimizer):
    """Plain gradient descent on the rows of the batch: z <- z - lr g.

    Args:
        params: tables, (N, D) each, such as `codes.parameters()`.
        lr: learning rate, at least 0.
        store: unused, as there is no state.

    Raises:
        ValueError: the learning rate is negative.

    Example:
        >>> table = nn.Embedding(3, 2, sparse=True)
        >>> before = table.weight.detach().clone()
        >>> optimizer = RowSGD(table.parameters(), lr=0.5)
        >>> table(torch.tensor([1])).sum().backward()
        >>> optimizer.step()
        >>> (table.weight - before).detach()
        tensor([[ 0.0000,  0.0000],
                [-0.5000, -0.5000],
                [ 0.0000,  0.0000]])
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, *, store: RowStore = IN_MEMORY
    ) -> None:
        _check_lr(lr)
        super().__init__(params, {"lr": lr}, store)

    def state_shapes(self, n: int, dim: int) -> Shapes:
        """Return an empty dict: gradient descent has no state."""
        return {}

    def row_update(
        self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor:
        """Return -lr g, (B, D)."""
        lr: float = group["lr"]
        return -lr * gradient


@final
class RowAdam(RowOptimizer):
    """Adam with moments and a step count per row.

    A dense Adam moves every row at every step, by the momentum of old gradients, and counts steps
    in which a row took no part. Here a row outside the batch is not touched.

    Args:
        params: tables, (N, D) each, such as `codes.parameters()`.
        lr: learning rate, at least 0.
        betas: decay of the first and of the second moment, each in [0, 1). With a first beta of 0
            no first moment is stored.
        eps: added to the root of the second moment.
        store: storage of moments and counts, in memory or in files.

    Raises:
        ValueError: a value is out of its range.

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    Example:
        >>> table = nn.Embedding(4, 2, sparse=True)
        >>> optimizer = RowAdam(table.parameters(), lr=0.1)
        >>> table(torch.tensor([2])).sum().backward()
        >>> optimizer.step()
        >>> optimizer.row_state()["step"]
        tensor([0, 0, 1, 0], dtype=torch.int32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        store: RowStore = IN_MEMORY,
    ) -> None:
        _check_lr(lr)
        for beta in betas:
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"betas are {betas}; each must be at least 0 and below 1.")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps}, store)

    def state_shapes(self, n: int, dim: int) -> Shapes:
        """Return shapes of the moments, (n, dim) float32 each, and of the counts, (n,) int32."""
        momentum = any(group["betas"][0] > 0.0 for group in self.param_groups)
        moments = ["exp_avg", "exp_avg_sq"] if momentum else ["exp_avg_sq"]
        whole: tuple[tuple[int, ...], torch.dtype] = ((n, dim), torch.float32)
        # torch's load_state_dict keeps the dtype of "step" and casts all else to the weights' own.
        return dict.fromkeys(moments, whole) | {"step": ((n,), torch.int32)}

    def row_update(
        self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor:
        """Return -lr m / (sqrt(v) + eps) with bias-corrected moments, (B, D)."""
        b1, b2 = group["betas"]
        t = state["step"].add_(1).double().unsqueeze(1)
        second = state["exp_avg_sq"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        # With b1 = 0 the first moment is the gradient: a third of the memory is saved.
        first = gradient
        if b1 > 0.0:
            first = state["exp_avg"].mul_(b1).add_(gradient, alpha=1 - b1)
            first = first / (1 - b1**t).float()
        root = (second / (1 - b2**t).float()).sqrt_().add_(group["eps"])
        change: Tensor = -group["lr"] * first / root
        return change


def _check_lr(lr: float) -> None:
    if not lr >= 0.0:
        raise ValueError(f"lr is {lr}; it must be at least 0.")

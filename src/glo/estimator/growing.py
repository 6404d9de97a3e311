"""What changes the rows of a fitted estimator: more examples, and examples that are forgotten."""

import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from glo.data import Dataset
from glo.errors import UserError
from glo.estimator.fitted import Fitted
from glo.estimator.validation import named_labels, taken
from glo.training.callbacks import Message
from glo.workflows.edit_rows import add_rows, forget_rows

__all__ = ["Growing"]


class Growing(Fitted):
    """An estimator whose rows come and go, in the run folder that it lives in."""

    device: str

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples."""

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Fit at the first call; later, add examples without training.

        The decoder stays as it is, and so do the codes of the examples before: those of X are found
        by search and become the last rows of `codes_`. The prior is fitted to all codes. A folder
        that was given as `run` or loaded is changed.

        Args:
            X: examples as those that were fitted.
            y: classes, (n,), if the first had some.

        Raises:
            UserError: another shape or range, nothing of an example is known, or the folder is in
                use.

        Warns:
            ConvergenceWarning: the decoder does not know such examples.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        array = taken(self, X, reset=False)
        if not isinstance(array, Dataset):
            array = self._form.samples(array, **named_labels(y, len(array)))
        home = self._fitted()
        messages = add_rows(
            home.folder, array, source="array", device=self.device, decoder=home.decoder
        )
        self._refresh(messages)
        return self

    def forget(self, rows: ArrayLike) -> Self:
        """Remove examples: their codes, and the priors and pictures that knew them.

        The rows after them move up. The weights of the decoder are not changed: what they hold of
        an example goes only with training anew. A folder that was given as `run` or loaded is
        changed, and this cannot be undone.

        Args:
            rows: row numbers of `codes_`, (m,).

        Raises:
            UserError: a row is not there, or none would be left.
        """
        numbers = np.atleast_1d(np.asarray(rows))
        if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and numbers.size):
            raise UserError(
                f"rows have shape {numbers.shape} and dtype {numbers.dtype}; give whole numbers, "
                f"(m,)."
            )
        chosen = torch.from_numpy(numbers.astype(np.int64))
        home = self._fitted()
        self._refresh(forget_rows(home.folder, chosen, decoder=home.decoder))
        return self

    def _refresh(self, messages: list[Message]) -> None:
        self._fitted().refresh()
        for message in messages:
            if message.warning:
                warnings.warn(message.text, ConvergenceWarning, stacklevel=3)

"""Where flow matching begins: a coarse mixture, and pairs of its draws with codes."""

from typing import Self, final

import torch
from torch import Tensor

from glo.priors.mixture import MixturePrior

__all__ = ["BaseDistribution"]

# A mixture has one component for so many rows, within bounds: the finer it is, the less the field
# has to do, until fitting it takes longer than it saves.
_ROWS_PER_COMPONENT, _MOST_COMPONENTS = 200, 256
_OWNERS, _ROWS_AT_ONCE = 8, 2048
_PREFIX = "origin."


@final
class BaseDistribution:
    """A mixture of Gaussians on whitened codes that can say from where a code may have come.

    Args:
        mixture: fitted.

    Example:
        >>> codes = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
        >>> origin = BaseDistribution.fit(codes, components=2, seed=0)
        >>> begins = origin.partners(*origin.belongs(codes), torch.Generator().manual_seed(0))
        >>> bool((begins.sign() == codes.sign()).all())
        True
    """

    def __init__(self, mixture: MixturePrior) -> None:
        self.mixture = mixture
        state = mixture.state_dict()
        self._means, self._factors = state["means"].float(), state["factors"].float()
        identity = torch.eye(self._means.shape[1], dtype=torch.float64)
        inverse = torch.linalg.solve_triangular(state["factors"], identity, upper=False)
        # (D, K D): one product measures the distance of a code from every component.
        self._inverse = inverse.flatten(0, 1).T.float().contiguous()
        self._offset = (inverse @ state["means"][:, :, None]).flatten().float()
        logs = state["factors"].diagonal(dim1=1, dim2=2).log().sum(1)
        self._constant = (state["weights"].log() - logs).float()

    @classmethod
    def fit(cls, ready: Tensor, *, components: int | None, seed: int) -> Self:
        """Fit the mixture to whitened codes, of which it takes at most 60,000.

        Args:
            ready: (N, D).
            components: K, or None: one for every 200 rows, at most 256.
            seed: of the mixture's first means.
        """
        number = components or max(1, min(len(ready) // _ROWS_PER_COMPONENT, _MOST_COMPONENTS))
        return cls(MixturePrior(components=number).fit(ready, seed=seed))

    def belongs(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the components that each code may have come from, likeliest first.

        A code belongs to few of them, so it keeps at most eight; the rest has no weight.

        Args:
            codes: whitened, float32 (B, D).

        Returns:
            Components, int64 (B, T), and their posterior probabilities, (B, T), which add up to 1.
        """
        parts = [self._posterior(some) for some in codes.split(_ROWS_AT_ONCE)]
        which, chance = (torch.cat(column) for column in zip(*parts, strict=True))
        return which, chance / chance.sum(1, keepdim=True)

    def _posterior(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(codes), *self._means.shape)
        apart = torch.addmm(self._offset, codes, self._inverse, beta=-1).view(shape)
        logits = self._constant - apart.square().sum(2) / 2
        chance, which = logits.softmax(1).topk(min(_OWNERS, len(self._means)))
        return which, chance

    def partners(self, which: Tensor, chance: Tensor, generator: torch.Generator) -> Tensor:
        """Draw for each code a point of the component it belongs to, (B, D).

        The component is drawn with its posterior probability given the code, so that the partners
        of all codes together are distributed as the mixture.

        Args:
            which: what `belongs` gave, (B, T).
            chance: with it, (B, T).
            generator: of the draws.
        """
        drawn = which.gather(1, torch.multinomial(chance, 1, generator=generator)).squeeze(1)
        noise = torch.randn(len(which), self._means.shape[1], generator=generator)
        return self._means[drawn] + (self._factors[drawn] @ noise.unsqueeze(2)).squeeze(2)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mixture's tensors, under names that no network has."""
        return {_PREFIX + name: tensor for name, tensor in self.mixture.state_dict().items()}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Self:
        """Take up what `state_dict` returned, among other tensors."""
        own = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
        return cls(MixturePrior().load_state_dict(own))

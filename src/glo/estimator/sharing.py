"""A fitted estimator and the Hub: the three methods that its users know."""

from pathlib import Path
from typing import Any, Self

from glo.decoders import DecoderLike
from glo.estimator.fitted import Fitted
from glo.export import fetch_pretrained, push_to_hub, save_pretrained

__all__ = ["Sharing"]


class Sharing(Fitted):
    """An estimator that is saved in the Hub's layout, and comes from there."""

    def save_pretrained(self, folder: str | Path, *, license: str | None = None) -> Path:
        """Write the run with a model card, as `glo.export.save_pretrained`.

        Raises:
            UserError: the folder holds something else, or huggingface_hub is not installed.
        """
        return save_pretrained(self._fitted().run, folder, license=license)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Publish the run and return the address of the commit, as `glo.export.push_to_hub`.

        Raises:
            UserError: the Hub refuses it or cannot be reached.
        """
        return push_to_hub(self._fitted().run, repo_id, **options)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, decoder: DecoderLike | None = None, **options: Any
    ) -> Self:
        """Open a run, by its folder or as USER/NAME on the Hub, as a fitted estimator.

        Args:
            name: of the folder or the repository.
            decoder: the class of its decoder, if that is none of this package.
            options: as for `glo.export.fetch_pretrained`.

        Raises:
            UserError: there is none, or it is no finished run.
        """
        # It makes this very class, so it is imported once that exists.
        from glo.estimator.estimator import load

        model = load(fetch_pretrained(name, **options), decoder=decoder)
        assert isinstance(model, cls), "there is one estimator"
        return model

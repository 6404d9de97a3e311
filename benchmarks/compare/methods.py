"""Methods of the comparison: models, each trained once for all of its samplers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.compare.autoencoders import KINDS, autoencoder, learn_autoencoder
from benchmarks.compare.gan import learn_dcgan
from benchmarks.compare.glo_method import RECIPES, learn_glo
from benchmarks.compare.latent_model import LatentModel, load_or_learn
from benchmarks.compare.pca import learn_pca, principal_components
from benchmarks.compare.pixel_flow import PixelFlow, learn_pixel_flow
from benchmarks.compare.problem import Problem
from benchmarks.compare.samplers import reserved_seconds
from torch import nn

__all__ = ["METHODS", "TWICE", "Method"]

_LATENT = ("mixture-10", "mixture-100", "flow-matching")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A model and its samplers.

    Args:
        about: name in tables.
        learn: trains the model; takes the seconds reserved for the samplers.
        networks: builds its untrained networks.
        samplers: names of its samplers, the default one first; see `samplers.draw`.
        rebuilds: whether its codes belong to the training images.
        searches: whether codes of held-out images are searched for.
    """

    about: str
    learn: Callable[[Problem, float], LatentModel]
    networks: Callable[[Problem], nn.ModuleDict]
    samplers: tuple[str, ...] = _LATENT
    rebuilds: bool = True
    searches: bool = True

    def model(self, problem: Problem, name: str, samplers: Sequence[str]) -> LatentModel:
        """Return the trained model, from its file if it exists.

        Args:
            problem: the task.
            name: name of the model.
            samplers: samplers, for the costliest of which time is left.
        """

        def learn(problem: Problem) -> LatentModel:
            return self.learn(problem, reserved_seconds(problem, samplers))

        return load_or_learn(problem, name, learn, self.networks)


def _decoder(problem: Problem) -> nn.ModuleDict:
    return nn.ModuleDict({"decoder": problem.decoder()})


def _glo(about: str, recipe: str, samplers: tuple[str, ...]) -> Method:
    assert recipe in RECIPES
    learn = partial(_learn_glo, recipe)
    return Method(about=about, learn=learn, networks=_decoder, samplers=samplers)


def _learn_glo(recipe: str, problem: Problem, reserved: float) -> LatentModel:
    return learn_glo(problem, recipe, reserved)


def _learn_autoencoder(kind: str, problem: Problem, reserved: float) -> LatentModel:
    return learn_autoencoder(problem, kind, reserved)


def _networks(kind: str, problem: Problem) -> nn.ModuleDict:
    return autoencoder(problem, kind)


def _autoencoder(about: str, kind: str, *more: str) -> Method:
    assert kind in KINDS
    return Method(
        about=about,
        learn=partial(_learn_autoencoder, kind),
        networks=partial(_networks, kind),
        samplers=(*_LATENT, *more),
    )


METHODS: dict[str, Method] = {
    "glo": _glo("GLO", "glo", (*_LATENT, "gaussian")),
    "ae-ours": _autoencoder("autoencoder, our optimizer", "ae-ours"),
    "ae": _autoencoder("autoencoder", "ae"),
    "rae-l2": _autoencoder("RAE-L2", "rae-l2"),
    "wae": _autoencoder("WAE", "wae"),
    "vae": _autoencoder("VAE", "vae", "normal"),
    "vae-sigma": _autoencoder("VAE, learned variance", "vae-sigma", "normal"),
    "dgd": _glo("DGD-style", "dgd", ("joint", "flow-matching")),
    "glann": _glo("GLANN-style", "glann", ("imle",)),
    "pca": Method(
        about="PCA",
        learn=lambda problem, _: learn_pca(problem),
        networks=principal_components,
        samplers=("mixture-100", "flow-matching"),
        # Its encoder is the exact solution of the search.
        searches=False,
    ),
    "dcgan": Method(
        about="DCGAN",
        learn=lambda problem, _: learn_dcgan(problem),
        networks=_decoder,
        samplers=("normal",),
        rebuilds=False,
    ),
    "pixel-flow": Method(
        about="flow matching on pixels",
        learn=lambda problem, _: learn_pixel_flow(problem),
        networks=lambda problem: nn.ModuleDict({"decoder": PixelFlow(problem.train.shape)}),
        samplers=("normal",),
        rebuilds=False,
        searches=False,
    ),
}

# Models that are also shown with twice the seconds.
TWICE = ("ae-ours", "ae", "vae", "vae-sigma")

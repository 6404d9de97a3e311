"""The settings as command-line options: every field of `Settings`, none of them required.

Only what the user gave is kept, because the command line wins over the file, the file over the
preset and the preset over the defaults.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from cyclopts import Group, Parameter

from glo.config.fields import checked
from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.errors import UserError
from glo.utils.json_toml import read_toml

__all__ = ["NOTHING_GIVEN", "Given", "merge"]


def _option(field: dataclasses.Field[Any], hint: Any) -> tuple[str, Any, Any]:
    about = field.metadata["help"]
    default = field.default
    if default is not None:
        words = default if isinstance(default, tuple) else (default,)
        about += f" [{' '.join(str(word).lower() for word in words)}]"
    group = Group(field.metadata["group"], sort_key=_ORDER.index(field.metadata["group"]))
    parameter = Parameter(help=about, group=group, show_default=False, negative_iterable=())
    return (field.name, Annotated[hint | None, parameter], None)


_ORDER = ("Data", "Decoder", "Codes", "Training", "Prior", "Machine")
_HINTS = get_type_hints(Settings)
Given = dataclasses.make_dataclass(
    "Given",
    [_option(field, _HINTS[field.name]) for field in dataclasses.fields(Settings)],
    # Without a module of ours it would pass for one of Python's own classes.
    namespace={"__module__": __name__},
    frozen=True,
    kw_only=True,
)

NOTHING_GIVEN: Any = Given()


def merge(preset: str | None, config: Path | None, given: Any) -> tuple[Settings, str]:
    """Merge preset, file and command line.

    Args:
        preset: name of a preset, or None: the file's, or else mnist.
        config: a TOML file, a run's config.toml for instance, or None.
        given: a `Given`: the options of the command line.

    Returns:
        the settings, and the name of the preset they began with.

    Raises:
        UserError: an unknown name or a value out of range.

    Example:
        >>> settings, _ = merge("tensorlayer-baseline", None, Given(epochs=1))
        >>> settings.batch_size, settings.epochs
        (512, 1)
    """
    values: dict[str, Any] = {}
    if config is not None:
        values = read_toml(config)
        run = values.pop("run", {})
        values.pop("data", None)
        inside = values.pop("preset", run.get("preset") if isinstance(run, dict) else None)
        if isinstance(inside, str) and preset is None:
            preset = inside
        values = checked(values, _HINTS, where=str(config))
    typed = {name: value for name, value in vars(given).items() if value is not None}
    preset = preset or "mnist"
    try:
        return Settings(**{**find_preset(preset).settings, **values, **typed}), preset
    except TypeError as error:
        raise UserError(f"The settings cannot be combined: {error}.") from None

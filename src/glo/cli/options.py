"""Command-line options of the settings: one for every field of `Settings`, none of them required.

Options have priority over the TOML file, the file over the preset, and the preset over the
defaults.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from cyclopts import Group, Parameter

from glo.config.presets import find_preset
from glo.config.settings import Settings, check_settings
from glo.utils.json_toml import read_toml

_FIELDS = dataclasses.fields(Settings)
_HINTS = get_type_hints(Settings)
_GROUPS = list(dict.fromkeys(field.metadata["group"] for field in _FIELDS))


def _option(field: dataclasses.Field[Any]) -> tuple[str, Any, Any]:
    text = field.metadata["help"]
    if field.default is not None:
        parts = field.default if isinstance(field.default, tuple) else (field.default,)
        text += f" [{' '.join(str(part).lower() for part in parts)}]"
    group = Group(field.metadata["group"], sort_key=_GROUPS.index(field.metadata["group"]))
    parameter = Parameter(
        name=field.metadata["flag"],
        help=text,
        group=group,
        show_default=False,
        negative_iterable=(),
    )
    return (field.name, Annotated[_HINTS[field.name] | None, parameter], None)


Given = dataclasses.make_dataclass(
    "Given",
    map(_option, _FIELDS),
    # By default it would pass for one of Python's own classes.
    namespace={"__module__": __name__},
    frozen=True,
    kw_only=True,
)

NOTHING_GIVEN: Any = Given()


def merge(preset: str | None, config: Path | None, given: Any) -> tuple[Settings, str]:
    """Merge preset, TOML file and command line to settings, and the name of their preset.

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
        name = values.pop("preset", run.get("preset") if isinstance(run, dict) else None)
        if isinstance(name, str) and preset is None:
            preset = name
        values = check_settings(values, where=str(config))
    options = {name: value for name, value in vars(given).items() if value is not None}
    preset = preset or "mnist"
    return Settings(**{**find_preset(preset).settings, **values, **options}), preset

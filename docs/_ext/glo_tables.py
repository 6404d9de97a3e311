"""Directives for tables of settings and presets, generated from the dataclass `Settings`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import Field, fields
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from glo.config.presets import PRESETS
from glo.config.settings import Settings, allowed_values


class SettingsTable(SphinxDirective):
    """Print the settings of one group: `Data`, `Decoder`, `Codes` and so on."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        group = self.arguments[0]
        rows = [_about(field) for field in fields(Settings) if field.metadata["group"] == group]
        if not rows:
            raise self.error(f"Settings has no group '{group}'.")
        return [_table(("Setting", "Default", "Allowed", "Meaning"), (26, 12, 26, 60), rows)]


class PresetsTable(SphinxDirective):
    """Print the presets, each with the settings that differ from the defaults."""

    def run(self) -> list[nodes.Node]:
        rows = [
            (_code(name), _text(preset.about), _listed(preset.settings))
            for name, preset in PRESETS.items()
        ]
        return [
            _table(
                ("Preset", "Description", "Settings that differ from the defaults"),
                (14, 40, 60),
                rows,
            )
        ]


def _about(field: Field[Any]) -> tuple[nodes.Node, ...]:
    unset = field.default is None
    default = _text("unset") if unset else _code(_spelled(field.default))
    return (
        _code(field.name),
        default,
        _text(allowed_values(field.name)),
        _text(field.metadata["help"]),
    )


def _spelled(value: Any) -> str:
    return json.dumps(value).strip('"')


def _listed(settings: dict[str, Any]) -> nodes.Node:
    if not settings:
        return _text("nothing")
    paragraph = nodes.paragraph()
    for place, (name, value) in enumerate(settings.items()):
        shown = f"{value:g}" if isinstance(value, float) else _spelled(value)
        paragraph += nodes.Text(", " if place else "")
        paragraph += nodes.literal(text=f"{name} = {shown}")
    return paragraph


def _text(words: str) -> nodes.Node:
    return nodes.paragraph(text=words)


def _code(words: str) -> nodes.Node:
    return nodes.paragraph("", "", nodes.literal(text=words))


def _table(
    head: Sequence[str], widths: Sequence[int], rows: Iterable[Sequence[nodes.Node]]
) -> nodes.table:
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row(map(_text, head)))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("glo-settings", SettingsTable)
    app.add_directive("glo-presets", PresetsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

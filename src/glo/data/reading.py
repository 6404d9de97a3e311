"""Reading of a source: how its values become examples, decided once and stored with a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

__all__ = ["NO_READING", "Reading"]


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the values of a source were read; later sources of a run are read alike or refused.

    Attributes:
        pixels: kind of the pixels in the source: "uint8", "uint16", "integer", "float" or "bool";
            empty for vectors.
        black: value of black pixels in the source.
        white: value of white pixels in the source.
        dtype: "float64" for vectors whose differences float32 would round away; else empty.
        columns: names of the columns of vectors in order; empty where they have none.
        label: name of the column of labels; empty without one.
        index: name of the column that identifies the rows; empty without one.
        separator: character between the cells of a .csv file; empty for other sources.
        decimal: decimal sign of a .csv file; empty for other sources.
        thousands: thousands separator of a .csv file; empty if there is none.
        missing: texts or numbers of missing cells of a table, beside the usual ones.
    """

    pixels: str = ""
    black: float = 0.0
    white: float = 0.0
    dtype: str = ""
    columns: tuple[str, ...] = ()
    label: str = ""
    index: str = ""
    separator: str = ""
    decimal: str = ""
    thousands: str = ""
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, for JSON or TOML."""
        values = {name: value for name, value in vars(self).items() if value not in ("", ())}
        if not self.pixels:
            del values["black"], values["white"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a reading from the values of `to_dict`.

        Raises:
            TypeError, ValueError: a value is unknown or of another type.
        """
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        result = cls(**fields)
        for name, value in vars(result).items():
            default = getattr(cls, name)
            is_number = isinstance(default, float) and type(value) in (int, float)
            if not (is_number or isinstance(value, type(default))):
                raise TypeError(f"reading.{name} is {value!r}")
            if isinstance(value, tuple) and not all(isinstance(each, str) for each in value):
                raise TypeError(f"reading.{name} has values that are no strings")
        return result


NO_READING = Reading()

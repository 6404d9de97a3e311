"""Text files, damaged, huge, deep or invalid: TOML, JSON, records and row numbers."""

import json
from collections.abc import Callable
from typing import Any

from .damage import Maker, Random, damaged

__all__ = ["journal_families", "json_families", "rows_families", "toml_families"]


def _one_of(*choices: Callable[[], bytes]) -> Maker:
    return lambda random: choices[int(random.integers(0, len(choices)))]()


_STRANGE_TOML = (
    "99999999999999999999", "0x" + "f" * 5000, "1e999", "nan", "-1", "0", "true", "[]", "{}",
    "'\\u001b[31m'", '"\\u001b[2J"', '"' + "x" * 10_000 + '"', "1979-05-27", "[[[[1]]]]",
    "{a = {b = 1}}", "[1, 'a']", "9223372036854775807", "1000000000", "''", '"cuda:99"', '"../.."',
    '"' + "mse+" * 2000 + 'mse"', '"1e309*mse"', "[1e308, 1]",
    "[0, 999999999999]", "[3, 999999, 999999]",
)  # fmt: skip
_STRANGE_JSON: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**30, 10**400, "", "\x1b[31m", "\ud800",
    "x" * 10_000, [], {}, [[]], {"a": {"b": {}}}, ["../../outside"], "/etc/passwd", [None], 2**62,
)  # fmt: skip


def toml_families(whole: bytes) -> dict[str, Maker]:
    """Return families of files that replace a run's config.toml."""
    lines = whole.decode().split("\n")

    def strange(random: Random) -> bytes:
        changed = list(lines)
        places = [i for i, line in enumerate(lines) if " = " in line]
        for _ in range(int(random.integers(1, 4))):
            place = places[int(random.integers(0, len(places)))]
            value = _STRANGE_TOML[int(random.integers(0, len(_STRANGE_TOML)))]
            changed[place] = f"{lines[place].split(' = ')[0]} = {value}"
        return "\n".join(changed).encode()

    def missing(random: Random) -> bytes:
        place = int(random.integers(0, len(lines)))
        twice = lines[place] if random.random() < 0.3 else "unknown_word = 1"
        return "\n".join([*lines[:place], *lines[place + 1 :], twice]).encode()

    def changes(random: Random) -> bytes:
        value = _STRANGE_TOML[int(random.integers(0, len(_STRANGE_TOML)))]
        fields = {"kind": '"added"', "n": "3", "before": '"0"', "rows": '"1-2"', "source": '"x"'}
        name = list(fields)[int(random.integers(0, 5))]
        words = [f"{k} = {value if k == name else v}" for k, v in fields.items()]
        return whole + "\n".join(["[[data.changes]]", *words, ""]).encode()

    return {
        **damaged(lambda _: whole),
        "strange values": strange,
        "missing and twice": missing,
        "strange changes of rows": changes,
        "deep or long": _one_of(
            lambda: b"a = " + b"[" * 100_000,
            lambda: b"a = " + b"[" * 500 + b"]" * 500,
            lambda: b"a" + b".a" * 30_000 + b" = 1",
            lambda: b"[a" + b".a" * 100_000 + b"]\nb.c = 1\n" + b"d.e = 2\n" * 1000,
            lambda: b"x = {" + b"a = {" * 5000,
            lambda: b"a" + b".a" * 15 + b" = 1\n" + whole,
            lambda: whole + b"x" * 9_000_000,
            lambda: b"\n".join(b"a%d = 1" % i for i in range(500_000)),
            lambda: b"a = " + b"9" * 5000,
            lambda: b"a = [" + b"1," * 2_000_000 + b"]",
            lambda: b'a = """' + b"\n" * 100_000 + b'"""',
            lambda: whole.replace(b"\n", b"\r"),
            lambda: b"\xff\xfe" + whole.decode().encode("utf-16-le"),
            lambda: b"\xef\xbb\xbf" + whole,
        ),
    }


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all elements of a JSON value."""
    inside: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    found = [at] if at else []
    for key, below in inside:
        found += _places(below, (*at, key))
    return found


def json_families(whole: bytes) -> dict[str, Maker]:
    """Return families of files that replace a JSON file of a run."""

    def changed(random: Random, *, removed: bool) -> bytes:
        values = json.loads(whole)
        places = _places(values)
        if not places:
            return json.dumps(_STRANGE_JSON[int(random.integers(0, len(_STRANGE_JSON)))]).encode()
        *way, last = places[int(random.integers(0, len(places)))]
        inner = values
        for key in way:
            inner = inner[key]
        if removed:
            del inner[last]
        else:
            inner[last] = _STRANGE_JSON[int(random.integers(0, len(_STRANGE_JSON)))]
        return json.dumps(values).encode()

    return {
        **damaged(lambda _: whole),
        "strange values": lambda random: changed(random, removed=False),
        "missing values": lambda random: changed(random, removed=True),
        "deep or long": _one_of(
            lambda: b"[" * 1_000_000,
            lambda: b"[" * 900 + b"]" * 900,
            lambda: b'{"a":' * 100_000,
            lambda: b'{"a": ' + b"9" * 5000 + b"}",
            lambda: b'{"a": 1, "a": 2}',
            lambda: b"[" + b"[]," * 1_300_000 + b"[]]",
            lambda: b'{"a": "' + b"x" * 20_000_000 + b'"}',
            lambda: b"7",
            lambda: b"null",
            lambda: b'["../outside.txt", "/etc/passwd", "..", ""]',
            lambda: b'["a/b"]',
            lambda: b"[1, null, {}]",
        ),
    }


def journal_families(whole: bytes) -> dict[str, Maker]:
    """Return families of files that replace metrics.jsonl."""

    def strange(random: Random) -> bytes:
        lines = whole.splitlines()
        place = int(random.integers(0, len(lines)))
        record = json.loads(lines[place])
        name = list(record)[int(random.integers(0, len(record)))]
        record[name] = _STRANGE_JSON[int(random.integers(0, len(_STRANGE_JSON)))]
        return b"\n".join([*lines[:place], json.dumps(record).encode(), *lines[place + 1 :]])

    return {
        **damaged(lambda _: whole),
        "strange values": strange,
        "deep or long": _one_of(
            lambda: b"[" * 1_000_000 + b"\n" + whole,
            lambda: b"7\nnull\n[]\n{}\n" + whole,
            lambda: whole * 2000,
            lambda: whole + bytes(70 * 2**20),
            lambda: b'{"kind": "step", "step": ' + b"9" * 5000 + b"}\n" + whole,
            lambda: b'{"kind": "epoch", "step": 1, "mse": 1}\n' + whole,
            lambda: b"\n" * 10_000_000,
        ),
    }


def rows_families() -> dict[str, Maker]:
    """Return families of text files of row numbers."""
    whole = b"3,17 5-9\n12"
    return {
        **damaged(lambda _: whole),
        "strange numbers": _one_of(
            lambda: b"9" * 5000,
            lambda: b"0-" + b"9" * 18,
            lambda: b"0-9223372036854775807",
            lambda: b"9-1",
            lambda: b"-1",
            lambda: "٣".encode(),
            lambda: b"1," * 1_000_000,
            lambda: b"1" * 70_000_000,
            lambda: b"\x1b[31m3",
        ),
    }

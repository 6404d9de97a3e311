"""Safetensors files in the place of those of a run: headers that lie, and configurations that ask
for networks without bounds.
"""

import hashlib
import json
import struct
from typing import Any

import numpy as np

from .damage import Maker, Random, damaged

__all__ = ["families", "split"]

_ABOUT = "__metadata__"
_NUMBERS: tuple[Any, ...] = (
    -1, 0, 1, 10**4, 10**9, 2**31, 2**62, 10**30, 1.5, float("nan"), float("inf"), "8", None, True,
    [], {}, [1] * 100_000, [10**9], [3, 10**6, 10**6], [1, 8], "x" * 9999, [[8]], [-8], ["a"],
)  # fmt: skip


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and the bytes of its tensors."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _pick(random: Random, choices: Any) -> Any:
    return choices[int(random.integers(0, len(choices)))]


def _packed(tensors: dict[str, tuple[str, list[int], bytes]], about: dict[str, str]) -> bytes:
    header: dict[str, Any] = {_ABOUT: about} if about else {}
    place = 0
    for name, (dtype, shape, content) in tensors.items():
        offsets = [place, place + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        place += len(content)
    return _joined(header, b"".join(content for _, _, content in tensors.values()))


def _unpacked(content: bytes) -> tuple[dict[str, tuple[str, list[int], bytes]], dict[str, str]]:
    header, data = split(content)
    about = header.pop(_ABOUT, {})
    tensors = {
        name: (each["dtype"], each["shape"], data[slice(*each["data_offsets"])])
        for name, each in header.items()
    }
    return tensors, about


def _resealed(tensors: dict[str, tuple[str, list[int], bytes]], about: dict[str, str]) -> bytes:
    """Save tensors with a valid checksum of a prior or labels."""
    if "seal" in about:
        words = {
            "F64": "float64",
            "F32": "float32",
            "I64": "int64",
            "I32": "int32",
            "BF16": "bfloat16",
        }
        values = json.loads(about["prior"])
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
        for name, (dtype, shape, content) in sorted(tensors.items()):
            digest.update(
                f"{name} torch.{words.get(dtype, dtype)} {tuple(shape)}".encode() + content
            )
        about = {**about, "seal": digest.hexdigest()}
    return _packed(tensors, about)


def _lying_header(whole: bytes, random: Random) -> bytes:
    header, data = split(whole)
    name = _pick(random, [name for name in header if name != _ABOUT])
    field = _pick(random, ["dtype", "shape", "data_offsets", "more", None])
    strange = [
        "F32", "F64", "F8_E4M3", "U64", "", 7, None, [], {}, [10**12], [2**63, 2**63], [-1, -1],
        [1] * 1000, [0], [0, 10**15], [8, 0], [1.5], ["a"], [10**400], [0, 1, 2],
    ]  # fmt: skip
    if field is None:
        header[name] = _pick(random, strange)
    else:
        header[name][field] = _pick(random, strange)
    return _joined(header, data)


def _overlapping(whole: bytes, random: Random) -> bytes:
    header, data = split(whole)
    names = [name for name in header if name != _ABOUT]
    one, two = _pick(random, names), _pick(random, names)
    header[one]["data_offsets"] = header[two]["data_offsets"]
    return _joined(header, data + random.bytes(int(random.integers(0, 9))))


def _odd_headers(whole: bytes, random: Random) -> bytes:
    header, data = split(whole)
    text = json.dumps(header).encode()
    choices = [
        lambda: _joined(b'{"a":' * 50_000, data),
        lambda: _joined(b"[" * 90_000, data),
        lambda: _joined(text[:-1] + b"," + text[1:], data),
        lambda: _joined(b"{}", b""),
        lambda: _joined(b"{}", data),
        lambda: _joined(b"[]", data),
        lambda: _joined(text.replace(b"{", b"{" + b" " * 9_000_000, 1), data),
        lambda: _joined(text.replace(b'"', b"\xff"), data),
        lambda: struct.pack("<Q", 2**63) + text + data,
        lambda: struct.pack("<Q", 99_000_000) + text + data,
        lambda: struct.pack("<Q", len(text) + 1) + text + data,
        lambda: _joined({**header, _ABOUT: {"a": [1]}}, data),
        lambda: _joined({**header, _ABOUT: 7}, data),
        lambda: _joined({k: v for k, v in header.items() if k != _ABOUT}, data),
    ]
    return _pick(random, choices)()


def _other_tensors(whole: bytes, random: Random) -> bytes:
    """Replace tensors by valid tensors of other names or shapes."""
    tensors, about = _unpacked(whole)
    name = _pick(random, list(tensors))
    dtype, shape, content = tensors[name]
    size = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2}.get(dtype, 1)
    count = len(content) // size
    change = int(random.integers(0, 9))
    if change == 0:
        del tensors[name]
    elif change == 1:
        tensors[f"{name}.{int(random.integers(0, 99))}"] = tensors[name]
    elif change == 2:
        tensors[_pick(random, ["", "x" * 5000, "\x1b[31m", "99999999999.exp_avg", "../x"])] = (
            tensors[name]
        )
    elif change == 3:
        tensors[name] = ("F32", [0, *shape[1:]], b"")
    elif change == 4:
        tensors[name] = (dtype, shape[::-1], content)
    elif change == 5:
        tensors[name] = (dtype, [*shape, 1], content)
    elif change == 6:
        tensors[name] = (_pick(random, ["F64", "I64"]), [count], bytes(8 * count))
    elif change == 7:
        tensors[name] = (_pick(random, ["BF16", "F16"]), shape, bytes(2 * count))
    else:
        tensors[name] = (
            dtype,
            [*shape[:1], *(2 * side for side in shape[1:])],
            content * 2 ** len(shape[1:]),
        )
    return _resealed(tensors, about)


def _odd_values(content: bytes, random: Random) -> bytes:
    tensors, about = _unpacked(content)
    name = _pick(random, list(tensors))
    dtype, shape, content = tensors[name]
    kind = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "F16": "<f2"}.get(dtype, "|u1")
    values = np.frombuffer(content, kind).copy()
    whole = [0, 100, 255] if kind == "|u1" else [-1, 0, 100]
    strange = [np.nan, np.inf, -np.inf, 1e38, 0.0] if kind[1] == "f" else whole
    places = slice(None) if random.random() < 0.3 else int(random.integers(0, max(1, values.size)))
    with np.errstate(over="ignore"):
        if values.size:
            values[places] = _pick(random, strange)
    tensors[name] = (dtype, shape, values.tobytes())
    return _resealed(tensors, about)


def _configured(whole: bytes, random: Random) -> bytes:
    """Declare another network, or an invalid one."""
    tensors, about = _unpacked(whole)
    text = _pick(random, [name for name in about if name != "seal"])
    values = json.loads(about[text])
    place = values.get("config") if isinstance(values.get("config"), dict) else values
    keys = [*place, "width", "blocks", "layers", "hidden", "integration", "name", "unknown"]
    for _ in range(int(random.integers(1, 3))):
        change = _pick(random, keys)
        place[change] = _pick(
            random, (*_NUMBERS, "mlp", "dcgan", "tensorlayer", "imle", "gaussian")
        )
    if random.random() < 0.1:
        values = _pick(random, _NUMBERS)
    about = {**about, text: json.dumps(values)}
    if random.random() < 0.1:
        return _packed(tensors, {**about, text: _pick(random, ["", "{", "[" * 9999, "9" * 5000])})
    return _resealed(tensors, about)


def families(whole: bytes) -> dict[str, Maker]:
    """Return families of files that replace a safetensors file."""
    makers: dict[str, Any] = {
        "lies about a tensor": _lying_header,
        "tensors overlap": _overlapping,
        "odd headers": _odd_headers,
        "other tensors": _other_tensors,
        "odd values": _odd_values,
    }
    if any(
        name != "seal" for name in split(whole)[0].get(_ABOUT, {}) if name in ("config", "prior")
    ):
        makers["asks for another network"] = _configured
    bound: dict[str, Maker] = {
        name: lambda random, make=make: make(whole, random)  # type: ignore[misc]
        for name, make in makers.items()
    }
    return {**damaged(lambda _: whole), **bound}

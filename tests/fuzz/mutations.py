"""Seeded harm: how bytes, text and trees are spoilt, the same for the same dice."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

EDGES = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
WIDTHS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
ODD_TEXT = (
    "", " ", "\t", "\n", "\r\n", "\0", "a\0b", "\x1b[2J\x1b]0;owned\x07", "\x7f", "\x85", "\u2028", "\u202egnp.exe",
    "\ufeff", "\ufffe", "é", "e\u0301", "İ", "ß", "ﬃ", "😀", "\U0010ffff", "٣", "a" * 300, "a" * 70_000, "'", '"', "`",
    "=cmd|' /C calc'!A0", "+1", "@SUM(1)", "${HOME}", "$(reboot)", "; reboot", "%s%s%n", "{0.__class__}", "{{7*7}}",
    "<script>alert(1)</script>", "]]>", "\\", "\\input{/etc/passwd}", "--help", "-", "NaN", "nan", "inf", "-inf",
    "null", "None", "true", "1e400", "-0", "0x10", "1_000", "9" * 400, "9" * 5_000,
)  # fmt: skip
PATHS = (
    "..", "../", "../../x.wav", "a/../../x.wav", "/etc/passwd", "/", "//", "//host/share/x.wav", "\\\\host\\x.wav",
    "C:\\x.wav", "c:x.wav", "~/x.wav", "~root/x.wav", ".", "./", "a/", "a//b.wav", "a/./b.wav", "/dev/zero", "/dev/stdin",
    "/proc/self/environ", "file:///etc/passwd", "http://127.0.0.1/x.wav", "a/" * 3_000 + "x.wav", "x" * 5_000, "..\\..\\x",
    "%2e%2e/x", "．．/x.wav", "a\u2215b", "con.wav", "x.wav\0.txt", "*", "?", "x.wav ",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 1.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 2**31, 2**53, 2**63, 2**64,
    -(2**63), 10**30, 10**400, True, False,
)  # fmt: skip


def spoilt(dice: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """The bytes after one to four harms; `others` lend slices."""
    out = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        dice.choice(_HARMS)(dice, out, dice.choice(others) if others else content)
    return bytes(out)


def somewhere(dice: Random, length: int) -> int:
    """A place in a file: often near its beginning or its end, where the tables are."""
    if not length:
        return 0
    near = min(length, 200)
    return dice.choice((dice.randrange(near), length - 1 - dice.randrange(near), dice.randrange(length)))


def _truncate(dice: Random, out: bytearray, _: bytes) -> None:
    del out[somewhere(dice, len(out)) :]


def _flip(dice: Random, out: bytearray, _: bytes) -> None:
    for _ in range(dice.choice((1, 1, 2, 8, 40)) if out else 0):
        out[somewhere(dice, len(out))] ^= 1 << dice.randrange(8)


def _number(dice: Random, out: bytearray, _: bytes) -> None:
    """A whole number at its edge, in any width and order of bytes."""
    width, kind = dice.choice(WIDTHS)
    value = (dice.choice(EDGES) + dice.choice((0, 0, -1, 1))) % 256**width
    place = somewhere(dice, len(out))
    out[place : place + width] = struct.pack(dice.choice("<>") + kind, value)


def _splice(dice: Random, out: bytearray, other: bytes) -> None:
    start = somewhere(dice, len(other))
    piece = other[start : start + dice.choice((1, 4, 16, 100, 2_000))]
    place = somewhere(dice, len(out))
    out[place : place + dice.choice((0, len(piece)))] = piece


def _remove(dice: Random, out: bytearray, _: bytes) -> None:
    place = somewhere(dice, len(out))
    del out[place : place + dice.choice((1, 2, 4, 16, 300))]


def _repeat(dice: Random, out: bytearray, _: bytes) -> None:
    place = somewhere(dice, len(out))
    piece = out[place : place + dice.choice((1, 4, 30, 200))]
    out[place:place] = piece * dice.choice((1, 2, 50, 1_000))


def _fill(dice: Random, out: bytearray, _: bytes) -> None:
    place, length = somewhere(dice, len(out)), dice.choice((1, 4, 16, 200))
    out[place : place + length] = bytes([dice.choice((0, 255, 0x7F, 0x80, 0x20))]) * length


def _noise(dice: Random, out: bytearray, _: bytes) -> None:
    place = somewhere(dice, len(out))
    out[place : place + dice.choice((0, 8, 64))] = dice.randbytes(dice.choice((1, 8, 64)))


def _all_noise(dice: Random, out: bytearray, _: bytes) -> None:
    out[dice.choice((0, 4, 12, 64)) :] = dice.randbytes(dice.choice((0, 10, 1_000)))


_HARMS: tuple[Callable[[Random, bytearray, bytes], None], ...] = (
    _truncate, _flip, _flip, _flip, _number, _number, _number, _splice, _splice, _remove, _repeat, _fill, _noise, _all_noise,
)  # fmt: skip


# --- trees of plain values -----------------------------------------------------------------------------------


def scalar(dice: Random) -> Any:
    """A value that is often forgotten."""
    return dice.choice((dice.choice(ODD_TEXT), dice.choice(PATHS), dice.choice(NUMBERS), None, [], {}))


def bent(dice: Random, tree: Any, words: Sequence[str] = ()) -> Any:
    """A copy of a tree of dicts and lists with one to four of its places changed; `words` are keys to exchange."""
    out = json.loads(json.dumps(tree))
    for _ in range(dice.choice((1, 1, 2, 3, 4))):
        places = list(_places(out))
        holder, key = dice.choice(places) if places else (None, None)
        if holder is None:
            return scalar(dice)
        dice.choice(_BENDS)(dice, holder, key, words)
    return out


def _places(node: Any) -> Any:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _replace(dice: Random, holder: Any, key: Any, _: Sequence[str]) -> None:
    holder[key] = scalar(dice)


def _nudge(dice: Random, holder: Any, key: Any, _: Sequence[str]) -> None:
    """Another value of the same kind."""
    value = holder[key]
    if isinstance(value, bool) or value is None:
        holder[key] = dice.choice((True, False, None, 0, 1, "yes"))
    elif isinstance(value, int | float):
        holder[key] = dice.choice((*NUMBERS, -value, value + 1, value // 2, str(value), [value]))
    elif isinstance(value, str):
        holder[key] = dice.choice((value[:-1], value + value, value.upper(), value + "\0", dice.choice(ODD_TEXT)))
    elif isinstance(value, list):
        holder[key] = dice.choice((value[:-1], value + value, value[::-1], [value], value * 200))
    else:
        holder[key] = dice.choice(([value], list(value), {str(k) * 2: v for k, v in value.items()}))


def _drop(dice: Random, holder: Any, key: Any, _: Sequence[str]) -> None:
    del holder[key]


def _rename(dice: Random, holder: Any, key: Any, words: Sequence[str]) -> None:
    if isinstance(holder, dict):
        holder[dice.choice((*words, *ODD_TEXT[:20], str(key) + "s"))] = holder.pop(key)


def _exchange(dice: Random, holder: Any, key: Any, _: Sequence[str]) -> None:
    other = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _deepen(dice: Random, holder: Any, key: Any, _: Sequence[str]) -> None:
    depth, value = dice.choice((3, 30, 150)), holder[key]
    for _ in range(depth):
        value = {"a": value} if dice.random() < 0.5 else [value]
    holder[key] = value


_BENDS = (_replace, _replace, _replace, _nudge, _nudge, _nudge, _drop, _rename, _exchange, _deepen)


def nested_json(dice: Random) -> str:
    """Brackets deeper than any parser's stack, or a number longer than any."""
    depth = dice.choice((500, 5_000, 100_000))
    return dice.choice(("[" * depth, "[" * depth + "]" * depth, '{"a":' * depth, "9" * depth, "-" * depth))


def as_json(dice: Random, tree: Any) -> bytes:
    """A bent tree as JSON, now and then with a key twice, no JSON any more, or brackets without end."""
    text = json.dumps(tree, ensure_ascii=dice.random() < 0.5)
    roll = dice.random()
    if roll < 0.05:
        text = nested_json(dice)
    elif roll < 0.1 and text.startswith("{") and len(text) > 2:
        text = "{" + text[1:-1] + "," + text[1:]
    elif roll < 0.15:
        text = text.replace(dice.choice(("1", "null", "[", '"')), nested_json(dice), 1)
    content = text.encode("utf-8", "surrogatepass")
    return spoilt(dice, content) if roll > 0.85 else content

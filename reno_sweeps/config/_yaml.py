"""YAML by its 1.2 core schema (1e-6 is a number, no is text): each key once, every value with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from reno_sweeps.records import UserError

Path = tuple[str | int, ...]  # where a value stands: ('search', 'training.lr', 'low')
Plain = dict[str, "Plain"] | list["Plain"] | float | int | bool | str | None

_TAG = "tag:yaml.org,2002:"
_CORE = {  # YAML 1.2.2, section 10.3.2; PyYAML's own table is that of 1.1
    "null": (r"null|Null|NULL|~|", "nN~"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
_MOST_NODES = 20_000  # more than any space needs; anchors that multiply end here
_LARGEST = 2**53  # whole numbers up to here are exact in JSON and in float64


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the core schema's scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own way

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """One more node: they are counted while they come, since PyYAML takes half a minute for a megabyte of them."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            many = f"more than {_MOST_NODES} values: this is no space file"
            raise yaml.MarkedYAMLError(problem=many, problem_mark=self.get_mark())
        return super().compose_node(parent, index)


for _kind, (_pattern, _first) in _CORE.items():
    _starts = ["", *_first] if _kind == "null" else list(_first)
    _CoreLoader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), _starts)


@dataclass(frozen=True)
class Document:
    """A file's content as plain values, and the line of every key and item."""

    name: str  # as errors call the file
    content: dict[str, Any]
    lines: Mapping[Path, int]
    given: Mapping[Path, str] = field(default_factory=dict)  # what an option replaced: ('encoders',) → '--encoders'

    def place(self, path: Path) -> str:
        """Where a value stands, as the first words of an error: 'x.yaml:12' or '--encoders'."""
        while path and path not in self.lines and path not in self.given:
            path = path[:-1]
        return self.given.get(path) or f"{self.name}:{self.lines.get(path, 1)}"

    def error(self, path: Path, what: str, *more: str) -> UserError:
        """The refusal of the value at `path`: place, what is wrong; then what is on offer, what to do."""
        lines = [f"{self.place(path)}: {what}", *(line for line in more if line)]
        return UserError("\n".join(_one_line(line) for line in lines[:3]))


def read(name: str, text: str) -> Document:
    """The document in `text`; a UserError with the line for anything that is no mapping of plain values."""
    try:
        root = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as problem:
        raise _broken(name, problem) from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise UserError(f"{name}:{line}: a character that YAML does not allow (#x{problem.character:04x})") from None
    except (ValueError, IndexError) as problem:  # escapes beyond Unicode; a tag that PyYAML cannot split
        raise UserError(f"{name}:1: no YAML: {_one_line(problem)}") from None
    except RecursionError:
        raise UserError(f"{name}:1: nested too deep\nA space file has at most five levels") from None
    if root is None:
        raise UserError(f"{name}:1: the file is empty\nA space file needs at least: search: {{…}}")
    if not isinstance(root, MappingNode):
        raise UserError(f"{name}:{_line(root)}: keys are expected here\nA space file begins like this: name: my-space")
    reader = _Reader(name)
    content = reader.plain(root, ())
    return Document(name, dict(content) if isinstance(content, dict) else {}, reader.lines)


class _Reader:
    """Turns YAML nodes into plain values and remembers their lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {(): 1}
        self._nodes = 0
        self._open: set[int] = set()  # the nodes around the present one: an anchor may not hold itself

    def plain(self, node: Node, path: Path) -> Plain:
        """The value of one node and of all below it."""
        self._nodes += 1
        if id(node) in self._open or self._nodes > _MOST_NODES:
            raise self._error(node, "anchors and aliases that never end", "Write the values out")
        self.lines.setdefault(path, _line(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
                return [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
            if isinstance(node, MappingNode) and node.tag == _TAG + "map":
                return self._mapping(node, path)
        finally:
            self._open.discard(id(node))
        raise self._unknown_tag(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Plain]:
        """A mapping: keys are words, each given once."""
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._error(key_node, "a key is one word, not a list or mapping")
            key, place = key_node.value, (*path, key_node.value)
            self._refuse_surrogates(key_node)
            if key in found:
                first = self.lines[place]
                raise self._error(key_node, f"{key!r} is given twice; first on line {first}", "Remove one of them")
            self.lines[place] = _line(key_node)
            found[key] = self.plain(value_node, place)
        return found

    def _scalar(self, node: ScalarNode) -> Plain:
        """A plain value by its tag: one of the core schema's, or refused."""
        text, kind = node.value, node.tag.removeprefix(_TAG)
        if kind == "str":
            self._refuse_surrogates(node)
            return str(text)
        if kind not in _CORE or not re.fullmatch(_CORE[kind][0], text):
            raise self._unknown_tag(node)
        if kind == "null":
            return None
        if kind == "bool":
            return bool(text.lower() == "true")
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return self._int(node)

    def _int(self, node: ScalarNode) -> int:
        """A whole number, decimal, octal or hexadecimal; beyond 2⁵³ it is refused."""
        base = {"0o": 8, "0x": 16}.get(node.value[:2], 10)
        number = int(node.value, base) if len(node.value) < 100 else _LARGEST + 1
        if abs(number) > _LARGEST:
            raise self._error(node, f"{node.value[:20]}… is too large a whole number", f"The largest is {_LARGEST}")
        return number

    def _refuse_surrogates(self, node: ScalarNode) -> None:
        """Half a character cannot be printed, hashed or stored."""
        if any("\ud800" <= letter <= "\udfff" for letter in node.value):
            raise self._error(node, "half a surrogate pair is no character")

    def _unknown_tag(self, node: Node) -> UserError:
        tag = node.tag.removeprefix(_TAG)
        return self._error(node, f"the tag {tag!r} is not used in space files", "Remove it: plain values are enough")

    def _error(self, node: Node, what: str, *more: str) -> UserError:
        return UserError("\n".join([f"{self.name}:{_line(node)}: {what}", *more]))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _broken(name: str, problem: yaml.MarkedYAMLError) -> UserError:
    """What PyYAML says of a text, with its line and a hint."""
    mark = problem.problem_mark or problem.context_mark
    line = 1 if mark is None else mark.line + 1
    said = _one_line(" ".join(part for part in (problem.context, problem.problem) if part))
    hint = "Indent with spaces, not tabs" if "'\\t'" in said else "Look at this line and the one above it"
    return UserError(f"{name}:{line}: no YAML: {said}\n{hint}")


def _one_line(problem: object) -> str:
    """Printable words in one line: names from the file may hold anything."""
    text = " ".join(str(problem).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:600]


def nearest(word: str, offer: list[str]) -> str:
    """' (did you mean X?)' for the likely meant word, else nothing."""
    near = get_close_matches(word, offer, n=1) or [o for o in offer if o.split(".")[-1] == word][:1]
    return f" (did you mean {near[0]}?)" if near else ""

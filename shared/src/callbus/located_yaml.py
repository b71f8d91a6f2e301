"""YAML that people write: scalars stay text, no key twice, and the line of everything in it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml

from callbus.errors import BadYaml

Loc: TypeAlias = tuple[str | int, ...]
"""A way into a document: the keys of mappings and the places (from 0) in lists."""

LARGEST_BYTES = 256 * 1024
MOST_VALUES = 20_000
"""With every alias written out: a few lines of aliases to aliases stand for billions of values."""

_JSON_SCALARS = {
    "tag:yaml.org,2002:bool": re.compile(r"true|false"),
    "tag:yaml.org,2002:int": re.compile(r"-?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
}


class _AsWritten(yaml.SafeLoader):
    """Scalars stay text, so that a telephone's digits keep their zeros (0123) and `say: no` is a word; only an empty
    value (or null) is none."""


_AsWritten.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Located:
    """A file with a mapping in it: its text, its nodes (which know their lines), its meaning."""

    path: Path
    text: str
    root: yaml.Node
    document: Any

    @classmethod
    def read(cls, path: Path, *, what: str, shape: str, typed: tuple[Loc, ...] = ()) -> Self:
        """A file that holds `what` ("an agent"), a mapping of this `shape` ("`name: …` and so on").

        Scalars under `typed` (where "*" is any item) are taken as JSON does: numbers, true, false. Raises BadYaml.
        """
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise BadYaml(f"{path}:1: larger than {LARGEST_BYTES // 1024} KiB: {what} is a page or two")
            text = path.read_text(encoding="utf-8")
            loader = _AsWritten(text)
            root = loader.get_single_node()
            if not isinstance(root, yaml.MappingNode):
                raise BadYaml(f"{path}:1: expected {what}: {shape}, each on its line")
            if _size(root, {}) > MOST_VALUES:
                raise BadYaml(f"{path}:1: more than {MOST_VALUES} values, with its aliases (*name) written out")
            if repeated := list(_repeated_keys(root, set())):
                raise BadYaml(*(f"{path}:{line}: `{key}` is here a second time" for line, key in repeated))
            for loc in typed:
                for node in _below(root, loc):
                    _type_scalars(node)
            return cls(path, text, root, loader.construct_document(root))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise BadYaml(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadYaml(f"{path}:1: can't be read: {error}") from error
        except RecursionError as error:
            raise BadYaml(f"{path}:1: can't be read: it is nested too deeply, or in itself") from error

    def line(self, *loc: str | int) -> int:
        """The line (from 1) of the key or item that `loc` names, or of the nearest around it."""
        return self.find(loc)[0]

    def find(self, loc: Loc) -> tuple[int, yaml.Node]:
        """That line, and the node there: a key's value, an item."""
        node = self.root
        line = node.start_mark.line + 1
        for part in loc:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            elif isinstance(node, yaml.MappingNode) and (pair := _pair(node, part)):
                line, node = pair[0].start_mark.line + 1, pair[1]
            else:
                break
        return int(line), node


def dotted(loc: Loc) -> str:
    """How a person names it: `turns[2].say`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for. One that is nested in itself counts once: that is reported elsewhere."""
    if id(node) not in sizes:
        sizes[id(node)] = 1
        children = node.value if isinstance(node, yaml.CollectionNode) else ()
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in children)
    return sizes[id(node)]


def _repeated_keys(node: yaml.Node, looked: set[int]) -> Iterator[tuple[int, str]]:
    """Keys that YAML would silently let the last one win; aliases are looked into where they are defined."""
    if id(node) in looked:
        return
    looked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, looked)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(key.value)
            yield from _repeated_keys(value, looked)


def _below(node: yaml.Node, loc: Loc) -> Iterator[yaml.Node]:
    if not loc:
        yield node
    elif loc[0] == "*" and isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _below(item, loc[1:])
    elif isinstance(node, yaml.MappingNode) and (pair := _pair(node, loc[0])):
        yield from _below(pair[1], loc[1:])


def _type_scalars(node: yaml.Node) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _type_scalars(item)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _type_scalars(value)
    elif isinstance(node, yaml.ScalarNode) and node.style is None and node.tag == "tag:yaml.org,2002:str":
        node.tag = next((tag for tag, shape in _JSON_SCALARS.items() if shape.fullmatch(node.value)), node.tag)


def _pair(mapping: yaml.MappingNode, name: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((key, value) for key, value in mapping.value if key.value == name), None)

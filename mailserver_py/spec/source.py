"""`mail.yaml` as a tree that remembers its lines (YAML 1.2), so that every complaint can name one.

Composed, not constructed: a duplicate key or a foreign tag is one more reason instead of the end of the run.
Anchors and aliases work; merge keys (`<<`) and tags are refused, because a spec should read as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from ..errors import Reason
from .types import parse_domain, parse_mail_address

MAX_NODES_COUNT = 200_000
"""Aliases of aliases can make a small file huge; ten thousand accounts with all fields stay far below."""

MAX_DEPTH_COUNT = 20
"""The models nest 5 deep; deeper is a mistake, and must not exhaust the stack."""

Scalar: TypeAlias = str | int | float | bool | None
Loc: TypeAlias = tuple[str | int, ...]

_PREFIX = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Node:
    """A value of the spec and the line it starts at; for a value behind a key, the key's line."""

    line: int
    value: Scalar | dict[str, Node] | list[Node]

    def plain(self) -> object:
        """The value without lines, as pydantic takes it."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def parse_source(text: str, file: str) -> tuple[Node | None, list[Reason]]:
    """The tree, or None when the text is no YAML mapping; and everything wrong with it."""
    reasons: list[Reason] = []
    try:
        yaml = YAML(typ="safe", pure=True)
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        return None, [_syntax_reason(error, file)]
    except YAMLError as error:
        return None, [Reason(f"no YAML: {error}", "mend the text; `#` starts a comment", file)]
    except RecursionError:
        return None, [Reason("nested too deep to be a spec", file=file)]
    if root is None:
        return None, [Reason("the file is empty", "start with `domains:`; see inventories/example", file)]
    if not isinstance(root, MappingNode):
        line = root.start_mark.line + 1
        return None, [Reason("keys and values are meant", "start with `domains:`", file, line)]
    return _Builder(file, reasons).build(root, root.start_mark.line + 1, 0), reasons


def _syntax_reason(error: MarkedYAMLError, file: str) -> Reason:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    problem = (error.problem or str(error)).replace("\n", " ")
    cure = "look at the indentation and the colons of this line and the one before"
    if "\\t" in problem or "tab" in problem:
        cure = "indent with spaces; YAML knows no tabs there"
    elif "'@'" in problem or "'`'" in problem:
        cure = 'put the value in quotes: "@…"'
    elif "quoted scalar" in problem or "quoted scalar" in (error.context or ""):
        cure = "close the quotes"
    elif "undefined alias" in problem:
        cure = 'a value that starts with * needs quotes: "*…"'
    context = f"{error.context}: " if error.context else ""
    return Reason(f"no YAML: {context}{problem}", cure, file, line)


class _Builder:
    def __init__(self, file: str, reasons: list[Reason]) -> None:
        self.file = file
        self.reasons = reasons
        self.count = 0

    def build(self, node: YamlNode, line: int, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES_COUNT or depth > MAX_DEPTH_COUNT:
            if self.count <= MAX_NODES_COUNT or self.count == MAX_NODES_COUNT + 1:
                self.reasons.append(Reason("too large or nested too deep to be a spec", "", self.file, line))
            return Node(line, None)
        if isinstance(node, MappingNode):
            return Node(line, self._mapping(node, depth))
        if isinstance(node, SequenceNode):
            items = [self.build(item, item.start_mark.line + 1, depth + 1) for item in node.value]
            return Node(line, items)
        if isinstance(node, ScalarNode):
            return Node(line, self._scalar(node, line))
        return Node(line, None)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.reasons.append(Reason("a key must be plain text", "quote it", self.file, line))
                continue
            key = str(key_node.value)
            if key == "<<":
                text = "merge keys (`<<`) are not read"
                self.reasons.append(Reason(text, "write the merged keys out", self.file, line))
                continue
            if key in found:
                text = f"{key!r} stands here a second time; the first is in line {found[key].line}"
                self.reasons.append(Reason(text, "keep one of the two", self.file, line))
                continue
            found[key] = self.build(value_node, line, depth + 1)
        return found

    def _scalar(self, node: ScalarNode, line: int) -> Scalar:
        text = str(node.value)
        tag = str(node.tag).removeprefix(_PREFIX) if node.tag is not None else "str"
        try:
            match tag:
                case "null":
                    return None
                case "bool":
                    return text.lower() in ("true", "yes", "on")
                case "int":
                    digits = text.replace("_", "")
                    return (
                        int(digits, 0)
                        if digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
                        else int(digits)
                    )
                case "float":
                    return float(text.replace("_", ""))
                case "str" | "timestamp":
                    return text
        except ValueError:
            return text
        self.reasons.append(Reason(f"the tag {node.tag} is not read", "remove it", self.file, line))
        return text


def normal_step(step: str | int) -> str | int:
    """A key as the models keep it: `Alice@Example.org` → `alice@example.org`; anything else is itself."""
    if isinstance(step, str) and ("@" in step or "." in step):
        try:
            return parse_mail_address(step) if "@" in step else parse_domain(step)
        except ValueError:
            return step
    return step


def find(root: Node, loc: Loc) -> tuple[Node, int]:
    """The deepest node that exists on the way to `loc`, and how many steps of it were found.

    Keys are found as they are written, else as the models keep them.
    """
    here = root
    for index, step in enumerate(loc):
        child: Node | None = None
        if isinstance(here.value, dict) and isinstance(step, str):
            child = here.value.get(step)
            if child is None:
                child = next((node for key, node in here.value.items() if normal_step(key) == step), None)
        elif isinstance(here.value, list) and isinstance(step, int) and 0 <= step < len(here.value):
            child = here.value[step]
        if child is None:
            return here, index
        here = child
    return here, len(loc)


def remove(root: Node, loc: Loc) -> bool:
    """Takes the node at exactly `loc` out of the tree; False when it is not there."""
    if not loc:
        return False
    parent, found = find(root, loc[:-1])
    last = loc[-1]
    if found < len(loc) - 1:
        return False
    if isinstance(parent.value, dict) and last in parent.value:
        del parent.value[str(last)]
        return True
    if isinstance(parent.value, list) and isinstance(last, int) and last < len(parent.value):
        del parent.value[last]
        return True
    return False

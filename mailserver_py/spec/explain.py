"""pydantic's complaints in the operator's words: where it stands, what was meant, and the cure.

The model's own docstrings are the source of "what was meant", so a field is explained in one place only.
"""

from __future__ import annotations

from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..errors import Reason
from .model import MailSpec
from .source import Loc, Node, find

_TYPE_WORDS = {
    "bool_parsing": "`true` or `false` is meant",
    "bool_type": "`true` or `false` is meant",
    "int_parsing": "a whole number is meant",
    "int_type": "a whole number is meant",
    "int_from_float": "a whole number is meant",
    "string_type": "text is meant",
    "tuple_type": "a list is meant: one `- …` a line, or [a, b]",
    "dict_type": "keys with values are meant, one a line",
    "model_type": "keys with values are meant, one a line",
    "model_attributes_type": "keys with values are meant, one a line",
    "ip_v4_address": "an IPv4 address such as 198.51.100.7 is meant",
    "ip_v6_address": "an IPv6 address such as 2001:db8::7 is meant",
}
"""Where pydantic's words are about Python."""


def explain(error: ErrorDetails, root: Node, file: str) -> Reason:
    """One complaint of pydantic about `root` as a reason with line and cure."""
    loc = plain_loc(error)
    node, _ = find(root, loc)
    kind = error["type"]
    name = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        known = list(_model_at(loc[:-1]).model_fields)
        return Reason(f"`{name}` is no key {_inside(loc[:-1])}", _nearest(name, known), file, node.line)
    if kind == "missing":
        text = f"`{name}` is missing {_inside(loc[:-1])}"
        return Reason(text, _meant(loc) or f"add `{name}:`", file, node.line)
    if kind == "literal_error":
        expected = [word.strip("'") for word in _literals(loc)]
        text = f"{_path(loc)}: {error['input']!r} is not known"
        return Reason(text, _nearest(str(error["input"]), expected), file, node.line)
    if kind == "value_error":
        text = error["msg"].removeprefix("Value error, ")
        return Reason(f"{_path(loc)}: {text}", _meant(loc), file, node.line)
    words = _TYPE_WORDS.get(kind, error["msg"][:1].lower() + error["msg"][1:])
    value = "" if isinstance(error["input"], dict | list) else f", not {error['input']!r}"
    return Reason(f"{_path(loc)}: {words}{value}", _meant(loc), file, node.line)


def plain_loc(error: ErrorDetails) -> Loc:
    """The place as steps through the file, without pydantic's mark for "the key itself"."""
    return tuple(step for step in error["loc"] if step != "[key]")


def nearest(name: str, known: list[str]) -> str:
    """The likeliest meant name, or an empty text."""
    lowered = {word.lower(): word for word in known}
    found = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


def _nearest(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    return f"did you mean `{close}`?" if close else f"known are: {', '.join(known)}"


def _path(loc: Loc) -> str:
    """`hosts.mx1.example.org.ipv4` would hide where the name ends, so names stand apart."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f" › {step}" if text else step
    return text


def _inside(loc: Loc) -> str:
    return f"of {_path(loc)}" if loc else "of the spec"


def _meant(loc: Loc) -> str:
    """What the field is for; every field has a docstring."""
    field = _field_at(loc)
    text = (field.description or "") if field is not None else ""
    return " ".join(text.split()) or "see `mailserver schema`"


def _unwrap(annotation: Any) -> Any:
    """The type behind `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, UnionType):
            annotation = next(a for a in get_args(annotation) if a is not NoneType)
        else:
            return annotation


def _field_at(loc: Loc) -> FieldInfo | None:
    """The field that the last named step of `loc` belongs to."""
    model: Any = MailSpec
    field: FieldInfo | None = None
    for step in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(step))
            model = _unwrap(field.annotation) if field is not None else None
        elif get_origin(model) in (dict, tuple):
            model = _unwrap(get_args(model)[1 if get_origin(model) is dict else 0])
        else:
            return field
    return field


def _model_at(loc: Loc) -> type[BaseModel]:
    model: Any = MailSpec
    for step in loc:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = _unwrap(model.model_fields[str(step)].annotation)
        else:
            model = _unwrap(get_args(model)[1 if get_origin(model) is dict else 0])
    assert isinstance(model, type) and issubclass(model, BaseModel)
    return model


def _literals(loc: Loc) -> list[str]:
    field = _field_at(loc)
    annotation = _unwrap(field.annotation) if field is not None else None
    if get_origin(annotation) is tuple:
        annotation = _unwrap(get_args(annotation)[0])
    return [str(word) for word in get_args(annotation)]

"""Structured fields of HTTP (RFC 9651): dictionaries of items and inner lists, without dates and display strings.

Stricter than the standard: a duplicate key is an error, while the standard lets the last one win. Two readers that
disagree about which one counts would allow a signature bypass.
Invariant: `text` of a parsed value is its canonical serialisation (RFC 9651 §4.1), whatever spaces the input had.
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import Final, NamedTuple


class FieldError(ValueError):
    """Not a structured field; the text names the character."""


class Token(str):
    """A bare token, distinct from a string."""

    __slots__ = ()


Bare = str | int | bool | bytes | Decimal
_KEY: Final = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_BARE: Final = re.compile(
    r'"([ !\x23-\x5b\x5d-\x7e]*+(?:\\["\\][ !\x23-\x5b\x5d-\x7e]*+)*+)"'  # possessive: no backtracking stack
    r"|(-?[0-9]{1,12}\.[0-9]{1,3})|(-?[0-9]{1,15})(?![0-9.])"
    r"|:([A-Za-z0-9+/=]*):|\?([01])|([A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)"
)
_ESCAPE: Final = re.compile(r"\\(.)")
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")


class Item(NamedTuple):
    """A value with its parameters."""

    value: Bare
    params: dict[str, Bare]
    text: str


class InnerList(NamedTuple):
    """Items in parentheses, with parameters of the list."""

    items: tuple[Item, ...]
    params: dict[str, Bare]
    text: str


# The common form: one label, plain components, integers and strings, single spaces between components.
_COMMON: Final = re.compile(
    r'([a-z*][a-z0-9_\-.*]*)=(\(("[a-z@\-]+"(?: "[a-z@\-]+")*)\)'
    r'((?:;[a-z]+=(?:"[ !\x23-\x5b\x5d-\x7e]*"|[1-9][0-9]{0,14}))*))'
)
_COMMON_BYTES: Final = re.compile(r"([a-z*][a-z0-9_\-.*]*)=:[A-Za-z0-9+/=]*:")  # the form of a Signature
_COMMON_PARAM: Final = re.compile(r';([a-z]+)=(?:"([^"]*)"|([0-9]+))')


def _common(text: str) -> tuple[str, InnerList] | None:
    """The same result as the general parser for the common form; None for any other."""
    match = _COMMON.fullmatch(text)
    if match is None:
        return None
    label, written, components, tail = match.groups()
    params: dict[str, Bare] = {}
    for name, quoted, number in _COMMON_PARAM.findall(tail):
        if name in params:
            return None
        params[name] = int(number) if number else quoted
    return label, InnerList(
        tuple([Item(component[1:-1], {}, component) for component in components.split(" ")]), params, written
    )


def parse_dictionary(text: str) -> dict[str, Item | InnerList]:
    """A dictionary field. FieldError for anything else, also for an empty one."""
    text = text.strip(" ")
    common = _common(text)
    if common is not None:
        return dict([common])
    signature = _COMMON_BYTES.fullmatch(text)
    if signature is not None:
        return {signature[1]: _item(text, signature.end(1) + 1)[0]}
    members: dict[str, Item | InnerList] = {}
    at = 0
    while True:
        key, at = _key(text, at)
        if key in members:
            raise FieldError(f"{key} twice")
        member: Item | InnerList
        if text.startswith("=(", at):
            member, at = _inner_list(text, at + 1)
        elif text.startswith("=", at):
            member, at = _item(text, at + 1)
        else:
            params, tail, at = _params(text, at)
            member = Item(True, params, "?1" + tail)
        members[key] = member
        if at == len(text):
            return members
        comma = _COMMA.match(text, at)
        if comma is None:
            raise FieldError(f"character {at + 1}")
        at = comma.end()


def _key(text: str, at: int) -> tuple[str, int]:
    match = _KEY.match(text, at)
    if match is None:
        raise FieldError(f"character {at + 1}")
    return match.group(), match.end()


def _inner_list(text: str, at: int) -> tuple[InnerList, int]:
    items: list[Item] = []
    at += 1
    while True:
        spaced = at
        while text.startswith(" ", at):
            at += 1
        if text.startswith(")", at):
            break
        if items and at == spaced:
            raise FieldError(f"character {at + 1}")
        item, at = _item(text, at)
        items.append(item)
    params, tail, at = _params(text, at + 1)
    return InnerList(tuple(items), params, f"({' '.join([i.text for i in items])}){tail}"), at


def _item(text: str, at: int) -> tuple[Item, int]:
    value, written, at = _bare(text, at)
    if not text.startswith(";", at):
        return Item(value, {}, written), at
    params, tail, at = _params(text, at)
    return Item(value, params, written + tail), at


def _params(text: str, at: int) -> tuple[dict[str, Bare], str, int]:
    params: dict[str, Bare] = {}
    tail = ""
    while text.startswith(";", at):
        at += 1
        while text.startswith(" ", at):
            at += 1
        key, at = _key(text, at)
        if key in params:
            raise FieldError(f"{key} twice")
        if text.startswith("=", at):
            params[key], written, at = _bare(text, at + 1)
            tail += f";{key}" if params[key] is True else f";{key}={written}"
        else:
            params[key] = True
            tail += f";{key}"
    return params, tail, at


def _bare(text: str, at: int) -> tuple[Bare, str, int]:
    match = _BARE.match(text, at)
    if match is None:
        raise FieldError(f"character {at + 1}")
    value: Bare
    kind = match.lastindex
    inner = match.group(kind or 0)
    written = match.group()
    if kind == 1:
        value = _ESCAPE.sub(r"\1", inner) if "\\" in inner else inner
    elif kind == 2:
        value = Decimal(inner)
        whole, _, part = inner.partition(".")
        written = (
            f"{int(whole)}.{part.rstrip('0') or '0'}"
            if int(whole) or not inner.startswith("-")
            else f"-0.{part.rstrip('0') or '0'}"
        )
    elif kind == 3:
        value = int(inner)
        written = str(value)
    elif kind == 4:
        try:
            value = binascii.a2b_base64(inner, strict_mode=True)
        except binascii.Error:
            raise FieldError(f"base64 at character {at + 1}") from None
        written = serialise_bytes(value)
    elif kind == 5:
        value = inner == "1"
    else:
        value = Token(inner)
    return value, written, match.end()


def serialise_bytes(value: bytes) -> str:
    return f":{base64.b64encode(value).decode('ascii')}:"


def serialise_string(value: str) -> str:
    """FieldError for characters other than visible ASCII and spaces."""
    if not value.isascii() or not value.isprintable():
        raise FieldError("not a string of visible ASCII")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""Structured fields (RFC 8941), the part that message signatures need.

Reads dictionaries of items or inner lists with parameters, and writes them in canonical form.
Invariant: `str(read(x))` is the serialisation of RFC 8941 §4.1, whatever optional spacing `x` has.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from gateway.sample_client.errors import ClientError

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+\-.^_`|~]*")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)"')
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")


class BadField(ClientError, ValueError):
    """A header is not a valid structured field."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, not a quoted string."""

    text: str


Bare = str | int | bool | bytes | Token
Params = tuple[tuple[str, Bare], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One value with its parameters."""

    value: Bare
    params: Params = field(default=())

    def __str__(self) -> str:
        return write_bare(self.value) + write_params(self.params)


@dataclass(frozen=True, slots=True)
class InnerList:
    """Values in parentheses, with parameters of the whole."""

    items: tuple[Item, ...]
    params: Params = field(default=())

    def __str__(self) -> str:
        return "(" + " ".join(str(item) for item in self.items) + ")" + write_params(self.params)

    def param(self, name: str) -> Bare | None:
        return dict(self.params).get(name)


def write_bare(value: Bare) -> str:
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return ":" + base64.b64encode(value).decode() + ":"
    if isinstance(value, Token):
        return value.text
    if not value.isascii() or not value.isprintable():
        raise BadField("a structured-field string holds visible ASCII characters only")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_params(params: Params) -> str:
    return "".join(f";{name}" if value is True else f";{name}={write_bare(value)}" for name, value in params)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise BadField(f"{what} expected at character {self.at + 1}")
        self.at = match.end()
        return match

    def peek(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def skip(self, marks: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in marks:
            self.at += 1

    def bare(self) -> Bare:
        start = self.text[self.at : self.at + 1]
        if start == '"':
            return re.sub(r"\\(.)", r"\1", self.take(_STRING, "a string").group(1))
        if start == ":":
            try:
                return base64.b64decode(self.take(_BYTES, "bytes").group(1), validate=True)
            except binascii.Error as wrong:
                raise BadField("bytes are not base64") from wrong
        if start == "?":
            return self.take(re.compile(r"\?[01]"), "a boolean").group() == "?1"
        if start.isdigit() or start == "-":
            return int(self.take(_INTEGER, "an integer").group())
        return Token(self.take(_TOKEN, "a value").group())

    def params(self) -> Params:
        params: dict[str, Bare] = {}
        while self.peek(";"):
            self.at += 1
            self.skip(" ")
            name = self.take(_KEY, "a parameter's name").group()
            if name in params:
                raise BadField(f"parameter {name} stands twice")
            params[name] = True
            if self.peek("="):
                self.at += 1
                params[name] = self.bare()
        return tuple(params.items())

    def member(self) -> Item | InnerList:
        if not self.peek("("):
            return Item(self.bare(), self.params())
        self.at += 1
        items: list[Item] = []
        while True:
            self.skip(" ")
            if self.peek(")"):
                self.at += 1
                return InnerList(tuple(items), self.params())
            if items and self.text[self.at - 1] != " ":
                raise BadField("items of a list are parted by a space")
            items.append(Item(self.bare(), self.params()))


def read_dictionary(text: str) -> dict[str, Item | InnerList]:
    """A dictionary field. A repeated key is refused (stricter than the RFC, where the last one counts)."""
    reader = _Reader(text.strip(" "))
    members: dict[str, Item | InnerList] = {}
    while reader.at < len(reader.text):
        name = reader.take(_KEY, "a member's name").group()
        if name in members:
            raise BadField(f"member {name} stands twice")
        if reader.peek("="):
            reader.at += 1
            members[name] = reader.member()
        else:
            members[name] = Item(True, reader.params())
        reader.skip(" \t")
        if reader.at == len(reader.text):
            break
        reader.take(re.compile(","), "a comma")
        reader.skip(" \t")
        if reader.at == len(reader.text):
            raise BadField("a comma ends the field")
    return members


def read_bytes(text: str, name: str) -> bytes | None:
    """The bytes of one member of a dictionary. None if there is no such member."""
    member = read_dictionary(text).get(name)
    if member is None:
        return None
    if not isinstance(member, Item) or not isinstance(member.value, bytes):
        raise BadField(f"member {name} is not bytes")
    return member.value


def read_string(text: str) -> str:
    """A field that is one string, like Idempotency-Key."""
    reader = _Reader(text.strip(" "))
    value = reader.bare()
    reader.params()
    if not isinstance(value, str) or reader.at != len(reader.text):
        raise BadField("one string in quotes expected")
    return value

"""Query strings, and the parts of forms: percent-encoded UTF-8, characters of XML 1.0 only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from contracts.errors import MESSAGE_CHARACTER, MESSAGE_NOT_QUERY
from contracts.mapping import value_formats
from contracts.mapping.plan import Plan
from contracts.wire.jsontext import MAX_DIGITS
from contracts.wire.xmltext import ILLEGAL

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def query_text(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    return item if isinstance(item, str) else value_formats.plain(item)


def guess(text: str, plan: Plan, name: str) -> Any:
    """A parameter as the raw value that the format's JSON would have."""
    node = next((child for child in plan.root.children if child.name == name), None)
    return typed(text, node.text.form.raw if node is not None and node.text is not None else "text")


def typed(text: str, raw: str) -> Any:
    """A text as the raw value of JSON of this kind (text, number or boolean); unchanged where it is none."""
    if raw == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if raw == "number" and len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text) is not None:
        return Decimal(text) if "." in text else int(text)
    return text


def parse_query(query: str) -> dict[str, str]:
    """The parameters by name. MESSAGE_NOT_QUERY for duplicates and invalid encoding."""
    parameters: dict[str, str] = {}
    for key, value in pairs(query):
        if key in parameters:
            raise MESSAGE_NOT_QUERY(why=f"the parameter {key[:60]!r} stands twice")
        parameters[key] = value
    return parameters


def pairs(query: str) -> Iterator[tuple[str, str]]:
    """Names and texts, in order. MESSAGE_NOT_QUERY for invalid encoding."""
    for part in query.split("&") if query else ():
        name, equals, text = part.partition("=")
        try:
            key, value = (unquote_to_bytes(each.replace("+", " ")).decode("utf-8") for each in (name, text))
        except UnicodeDecodeError:
            raise MESSAGE_NOT_QUERY(why="bytes that are not UTF-8") from None
        if not equals or not key:
            raise MESSAGE_NOT_QUERY(why="a part that is not name=value")
        for text in (key, value):
            if (found := ILLEGAL.search(text)) is not None:
                member = key[:60] if text is value else "/"
                raise MESSAGE_CHARACTER(member=member, character=f"U+{ord(found[0]):04X}", at=found.start() + 1)
        yield key, value

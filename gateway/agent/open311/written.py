"""Writes GeoReport v2 answers: a value as JSON, and as XML with the standard's element names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

from contracts.wire.jsontext import text_of
from contracts.wire.xmltext import ILLEGAL, escape_text
from gateway.agent.listener import Reply

Form = Literal["json", "xml"]
Value = str | int | Decimal | bool | None | Sequence["Value"] | Mapping[str, "Value"]
_ITEMS: Final[Mapping[str, str]] = {
    "attributes": "attribute",
    "endpoints": "endpoint",
    "errors": "error",
    "formats": "format",
    "service_requests": "request",
    "service_request_updates": "request_update",
    "services": "service",
    "values": "value",
}


def reply(root: str, value: Value, form: Form, status: int = 200) -> Reply:
    if form == "json":
        return Reply(status, {"content-type": "application/json; charset=utf-8"}, text_of(value).encode())
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{_element(root, value)}\n'
    return Reply(status, {"content-type": "text/xml; charset=utf-8"}, text.encode())


def _element(name: str, value: Value) -> str:
    if isinstance(value, Mapping):
        inside = "".join(_element(each, inner) for each, inner in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inside = "".join(_element(_ITEMS[name], each) for each in value)
    else:
        inside = escape_text(_text(value))
    return f"<{name}>{inside}</{name}>"


def _text(value: str | int | Decimal | bool | None) -> str:
    if value is None:
        return ""
    return ILLEGAL.sub("\ufffd", value) if isinstance(value, str) else text_of(value)

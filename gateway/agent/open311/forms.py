"""Reads the form of `POST /requests` into a ServiceRequest of field-report/v1.

Invariant: nothing is guessed or dropped: a field that is not GeoReport's, or comes twice, is refused by name. Empty
fields count as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from contracts.wire.headers import media_type
from gateway.agent.errors import AGENT_FORM, AGENT_MEDIA_TYPE

MOST_BYTES: Final = 65_536
FORM: Final = "application/x-www-form-urlencoded"
AREA: Final = "area"  # the attribute that each service asks for
API_KEY: Final = "api_key"
_MOST_FIELDS: Final = 100
_TEXTS: Final = (
    *("service_code", "address_string", "address_id", "email", "device_id", "account_id"),
    *("first_name", "last_name", "phone", "description", "media_url"),
)
_NUMBERS: Final = ("lat", "long")
_NOT_OF_THE_REPORT: Final = (API_KEY, "jurisdiction_id")
_NUMBER: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,20})?", re.ASCII)
_ATTRIBUTE: Final = re.compile(r"attribute\[([^\[\]]{1,100})\](\[\])?")


class Form(NamedTuple):
    """The report, and the key that came with it."""

    report: Mapping[str, Any]
    api_key: str


def read(headers: Mapping[str, str], body: bytes) -> Form:
    media = media_type(headers)
    if media != FORM:
        raise AGENT_MEDIA_TYPE(got=media[:80] or "—", expected=FORM)
    report: dict[str, Any] = {}
    attributes: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    for name, value in _pairs(body):
        attribute = _ATTRIBUTE.fullmatch(name)
        if name in seen and not (attribute is not None and attribute[2]):
            raise AGENT_FORM(why=f"{name[:80]}: ×2")
        seen[name] = value
        if not value or name in _NOT_OF_THE_REPORT:
            continue
        if attribute is not None and attribute[1] == AREA:
            report[AREA] = value
        elif attribute is not None:
            attributes.append({"code": attribute[1], "value": value})
        elif name in _NUMBERS and _NUMBER.fullmatch(value) is not None:
            report[name] = Decimal(value)
        elif name in _TEXTS:
            report[name] = value
        else:
            raise AGENT_FORM(why=f"{name[:80]}={value[:80]}")
    for name, shown in (("service_code", "service_code"), (AREA, f"attribute[{AREA}]"), ("description", "description")):
        if name not in report:
            raise AGENT_FORM(why=f"{shown}: —")
    return Form(report | ({"attribute": attributes} if attributes else {}), seen.get(API_KEY, ""))


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS, separator="&"
        )
    except ValueError as wrong:
        raise AGENT_FORM(why=str(wrong)[:120]) from None

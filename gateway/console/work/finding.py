"""Where an id belongs: the page of a transfer, or the entries of whatever has that id."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import select

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import journeys, naming
from gateway.console.work.searching import Filter
from gateway.journal.schema import tables

_TRANSFER: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ENTRY: Final = re.compile(r"#?[0-9]{1,15}")
_SHA256: Final = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
_SEARCH: Final = "/console/search"


def address_of(desk: Desk, viewer: Viewer, text: str) -> str:
    """A transfer, the index of an entry with or without `#`, a system, agency, grant or contract, an error code, a key
    or the thumbprint of its certificate (hex or base64url), the id of a message; else a title, or an id as lists cut
    it."""
    if not text:
        return _SEARCH
    if text.startswith("#") and _ENTRY.fullmatch(text):
        return _entry(desk, viewer, text[1:]) or _search(transfer=text)
    if _TRANSFER.fullmatch(text):
        return f"/console/transfers/{text.lower()}"
    snapshot = desk.services.registry.snapshot
    for name, known in (
        ("system", snapshot.systems),
        ("agency", snapshot.agencies),
        ("contract", snapshot.contracts),
    ):
        if text in known:
            return _search(**{name: text})
    if (system := _system_of_key(desk, text)) is not None:
        return _search(system=system)
    with desk.reading() as connection:
        if connection.execute(select(tables.access_grant.c.id).where(tables.access_grant.c.id == text)).first():
            return _search(grant=text)
    if "." in text and _is_code(text):
        return _search(failure=text)
    query = Filter({"message": text}).query(desk, viewer)
    if transfer := journeys.of_message(desk, query) or naming.by_ending(desk, viewer, text):
        return f"/console/transfers/{transfer}"
    if not journeys.is_message(desk, query):
        if _ENTRY.fullmatch(text) and (address := _entry(desk, viewer, text)):
            return address
        if (given := naming.named(desk, text)) is not None:
            return _search(**given)
        if (system := naming.by_thumbprint(desk, text)) is not None:
            return _search(system=system)
    return _search(message=text)


def _entry(desk: Desk, viewer: Viewer, number: str) -> str | None:
    about = journeys.entry_at(desk, viewer, int(number))
    return f"/console/transfers/{about}?at={number}#entry-{number}" if about else None


def _search(**given: str) -> str:
    return f"{_SEARCH}?{urlencode(given)}"


def _system_of_key(desk: Desk, text: str) -> str | None:
    """The system of a key, by its id or the thumbprint of its certificate, in any state."""
    mark = text
    if _SHA256.fullmatch(text):
        mark = base64.urlsafe_b64encode(bytes.fromhex(text.replace(":", ""))).decode("ascii").rstrip("=")
    key = tables.system_key.c
    with desk.reading() as connection:
        row = connection.execute(select(key.system).where((key.key_id == text) | (key.thumbprint == mark))).first()
    return None if row is None else str(row.system)


def _is_code(text: str) -> bool:
    from gateway.errors import every

    return text in every()

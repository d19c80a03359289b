"""Where an id belongs: the page of a transfer, or the entries of whatever has that id."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import journeys, naming
from gateway.console.work.searching import Filter
from gateway.journal.schema import tables

_TRANSFER: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ENTRY: Final = re.compile(r"#?[0-9]{1,15}")
_SHA256: Final = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
_SEARCH: Final = "/console/search"


class Found(NamedTuple):
    """What an id is: a transfer, or else the filter of a search that finds its entries. `entry`: its index in the log.

    `what`: transfer, entry, system, agency, contract, key, grant, person, failure, message; `nothing` without an id.
    """

    what: str
    transfer: str | None = None
    filter: Mapping[str, str] = MappingProxyType({})
    entry: int | None = None

    @property
    def address(self) -> str:
        if self.transfer is None:
            return f"{_SEARCH}?{urlencode(self.filter)}" if self.filter else _SEARCH
        at = "" if self.entry is None else f"?at={self.entry}#entry-{self.entry}"
        return f"/console/transfers/{self.transfer}{at}"


def find(desk: Desk, viewer: Viewer, text: str) -> Found:
    """A transfer, the index of an entry with or without `#`, a system, agency, grant or contract, a person, an error
    code, a key or the thumbprint of its certificate (hex or base64url), the id of a message; else a title, or an id as
    lists cut it.
    """
    if not text:
        return Found("nothing")
    if text.startswith("#") and _ENTRY.fullmatch(text):
        return _entry(desk, viewer, text[1:]) or Found("entry", filter={"transfer": text})
    if _TRANSFER.fullmatch(text):
        return Found("transfer", text.lower())
    snapshot = desk.services.registry.snapshot
    for name, known in (
        ("system", snapshot.systems),
        ("agency", snapshot.agencies),
        ("contract", snapshot.contracts),
    ):
        if text in known:
            return Found(name, filter={name: text})
    if (system := _system_of_key(desk, text)) is not None:
        return Found("key", filter={"system": system})
    with desk.reading() as connection:
        if connection.execute(select(tables.access_grant.c.id).where(tables.access_grant.c.id == text)).first():
            return Found("grant", filter={"grant": text})
        if _is_person(connection, viewer, text):
            return Found("person", filter={"actor": text})
    if "." in text and _is_code(text):
        return Found("failure", filter={"failure": text})
    query = Filter({"message": text}).query(desk, viewer)
    if transfer := journeys.of_message(desk, query):
        return Found("message", transfer)
    if transfer := naming.by_ending(desk, viewer, text):
        return Found("transfer", transfer)
    if not journeys.is_message(desk, query):
        if _ENTRY.fullmatch(text) and (found := _entry(desk, viewer, text)):
            return found
        if (given := naming.named(desk, text)) is not None:
            return Found(next(iter(given)), filter=given)
        if (system := naming.by_thumbprint(desk, text)) is not None:
            return Found("key", filter={"system": system})
    return Found("message", filter={"message": text})


def _entry(desk: Desk, viewer: Viewer, number: str) -> Found | None:
    about = journeys.entry_at(desk, viewer, int(number))
    return Found("entry", about, entry=int(number)) if about else None


def _is_person(connection: Connection, viewer: Viewer, text: str) -> bool:
    """Of whom somebody with one agency may know: those of that agency."""
    scope = viewer.account.scope
    for table in (tables.console_account.c, tables.officer.c, tables.person.c):
        query = select(table.id).where(table.id == text)
        if connection.execute(query if scope is None else query.where(table.agency == scope)).first() is not None:
            return True
    return False


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

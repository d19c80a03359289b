"""Makes agencies and systems of their rows.

Invariant: the address of a proposed system is not used: nobody has signed it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapters.model import Endpoint
from contracts.base.words import Words
from gateway.registry import contacts, tenant_clock
from gateway.registry.changes.content import CALLBACK, PROPOSED, SOURCES, sources_in
from gateway.registry.records import ACTIVE, Agency, System
from gateway.registry.store import drop_of
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey


def agency_of(row: Mapping[str, Any]) -> Agency:
    return Agency(
        code=row["code"],
        name=Words(row["name_vi"], row["name_en"]),
        level=row["level"],
        roles=tuple(json.loads(row["roles"])),
        contacts=contacts.read(row["contact"]),
        state=row["state"],
        clock=tenant_clock.of(row["code"], row.get("clock")),
    )


def system_of(
    row: Mapping[str, Any], agencies: Mapping[str, Agency], keys: list[VerifyKey], encrypt: tuple[EncryptKey, ...]
) -> System:
    """`keys` and `encrypt` are those of the system itself."""
    # Nobody signed the address of a proposed system: it is not called, and its folder is not opened.
    text = row["endpoint"] if row["state"] != PROPOSED else None
    endpoint, drop, at = None, drop_of(text), json.loads(text or "{}")
    agency = agencies.get(row["agency"])
    ahead = agency.clock.ahead if agency is not None else 0
    callback, declared = at.pop(CALLBACK, None), sources_in(at.pop(SOURCES, ()))
    if at and drop is None:
        by_id, by_thumbprint = {key.key_id: key for key in keys}, {key.thumbprint: key for key in keys}
        kind, url = at.pop("kind"), at.pop("url")
        endpoint = Endpoint(
            system=row["id"],
            kind=kind,
            url=url,
            keys_by_id=by_id,
            keys_by_thumbprint=by_thumbprint,
            encrypt_keys=encrypt,
            options=at,
            ahead=ahead,
        )
    return System(
        id=row["id"],
        agency=row["agency"],
        title=Words(row["title_vi"], row["title_en"]),
        formats=json.loads(row["formats"]),
        endpoint=endpoint,
        state=row["state"],
        active=row["state"] == ACTIVE and agency is not None and agency.state == ACTIVE,
        drop=drop,
        versions=json.loads(row["versions"] or "{}"),
        contacts=contacts.read(row["contact"]),
        callback=callback,
        sources=declared,
        ahead=ahead,
    )

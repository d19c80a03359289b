"""Reads the officers and the people of a registry document, each with a public key of their own.

Officers are offices, not persons.

Invariant: no key occurs twice; only P-256 and Ed25519 keys are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

from contracts.base.errors import Theirs
from gateway.registry.parts.parties import Parties
from security.grants.approvals import Officer, Role, load_public, public_pem

OFFICER_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILLED: Final = re.compile(r"\{([a-z0-9-]+)\}")


class Officers(Parties):
    def _officers(self, raw: Any) -> tuple[Officer, ...] | None:
        """None if the document does not mention officers."""
        return None if raw is None else self._with_keys("officers", raw, ())

    def _persons(self, raw: Any, officers: Iterable[Officer]) -> tuple[Officer, ...] | None:
        """None if the document does not mention people."""
        return None if raw is None else self._with_keys("people", raw, officers)

    def _with_keys(self, what: str, raw: Any, others: Iterable[Officer]) -> tuple[Officer, ...]:
        by_id = {each.id: each for each in others}
        read: list[Officer] = []
        for path, item in self._list(what, raw):
            officer = self._officer(path, item, person=what == "people")
            if officer is None:
                continue
            if officer.id in by_id or any(each.thumbprint == officer.thumbprint for each in by_id.values()):
                self._wrong(path, "unique", "an id and a key of its own", f"{officer.id}, or its key, used before")
            by_id[officer.id] = officer
            read.append(officer)
        return tuple(read)

    def _officer(self, path: str, raw: Any, *, person: bool) -> Officer | None:
        item = self._mapping(path, raw, {"id", "agency", "name", "key", "state", *(("role",) if person else ())})
        role = self._text(f"{path}.role", item.get("role"), choice=("operator", "auditor")) if person else "officer"
        name = self._text(f"{path}.id", item.get("id"), OFFICER_ID, limit=64)
        agency = self._text(f"{path}.agency", item.get("agency"))
        if agency and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of an agency of this document", agency)
        office = self._words(f"{path}.name", item.get("name"))
        state = self._text(f"{path}.state", item.get("state", "active"), choice=("active", "retired", "revoked"))
        key = self._text(f"{path}.key", item.get("key"), limit=20_000)
        if (named := _FILLED.fullmatch(key)) is not None:
            key = self._fill.get(named[1], key)
        try:
            public = load_public(key)
        except Theirs as refused:
            if key:
                self._wrong(
                    f"{path}.key",
                    "key",
                    f"a public key or certificate in PEM: {refused.facts.get('rule')}",
                    "another text",
                )
            return None
        state_of = {"active": "active", "retired": "retired", "revoked": "revoked"}
        return Officer(
            id=name,
            agency=agency,
            name=office,
            public_pem=public_pem(public),
            state=state_of.get(state, "active"),  # type: ignore[arg-type]
            since=0.0,
            public=public,
            role=cast(Role, role),
        )

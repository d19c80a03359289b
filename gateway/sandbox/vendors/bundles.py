"""A tenant as a part of a registry document, for another instance.

In production nobody enrols alone: the operator gives the vendor's agency a code there, puts the part into the registry
document and applies it. Then two officers sign the system's content and each grant, as everybody else's.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

import yaml

from gateway.console.site.desk import Desk
from gateway.registry import contacts
from security.grants.windows import VIETNAM

CODE: Final = "CODE-OF-THE-AGENCY"
PHONE: Final = "TELEPHONE"
_DAY: Final = 86_400.0
_HEAD: Final = (
    "# A vendor of a sandbox, as proposed for production: write the agency's own code in place of\n"
    f"# {CODE} and the telephone in place of {PHONE}. Put these lists into the\n"
    "# registry document, and apply it.\n"
    "# Two officers then approve the agency's role, the system and each grant.\n"
)


def bundle(desk: Desk, agency: str) -> str:
    """YAML with `agencies`, `systems` and `grants`, without anything that the sandbox approved or issued."""
    snapshot = desk.services.registry.snapshot
    known = snapshot.agencies[agency]
    systems: list[dict[str, Any]] = []
    for each in sorted(snapshot.systems.values(), key=lambda each: each.id):
        if each.agency == agency:
            endpoint = {} if each.endpoint is None else {"kind": each.endpoint.kind, "url": each.endpoint.url}
            systems.append(
                {
                    "id": each.id,
                    "agency": CODE,
                    "title": {"vi": each.title.vi, "en": each.title.en},
                    **({"formats": dict(each.formats)} if each.formats else {}),
                    **({"endpoint": endpoint} if endpoint else {}),
                }
            )
    grants = [
        {
            **{name: value for name, value in each.content().items() if name not in ("valid_from", "valid_until")},
            "id": each.id.removeprefix(f"{agency}-"),
            "agency": CODE,
            "valid_from": _day(each.valid_from),
            "valid_until": _day(each.valid_until - _DAY),  # the last day
        }
        for each in snapshot.grants(agency)
    ]
    name = {"vi": known.contacts[0].office, "en": known.contacts[0].office} if known.contacts else {}
    own = {
        "code": CODE,
        "name": name or {"vi": known.name.vi, "en": known.name.en},
        "level": known.level,
        "roles": list(known.roles),
        **contacts.stated([replace(each, phone=each.phone or PHONE) for each in known.contacts]),
    }
    document = {"agencies": [own], "systems": systems, "grants": grants}
    return _HEAD + yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, VIETNAM).date()

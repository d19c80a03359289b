"""Operations on agencies: the list, one agency, its suspension."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked, both, when
from gateway.console.work import agencies
from gateway.console.work.agencies import Row, given
from gateway.console.work.noticing import notice_of
from gateway.registry.contacts import lasting


def list_agencies(asked: Asked) -> Any:
    return {"agencies": [_shown(each) for each in agencies.agencies(asked.desk, asked.viewer)]}


def read_agency(asked: Asked) -> Any:
    return {"agency": _shown(agencies.agency(asked.desk, asked.viewer, asked.params["agency"]))}


def suspend(asked: Asked) -> None:
    agencies.suspend(asked.desk, asked.viewer, asked.params["agency"], notice_of(asked.body, asked.now))


def resume(asked: Asked) -> None:
    agencies.resume(asked.desk, asked.viewer, asked.params["agency"], asked.reason())


def set_contacts(asked: Asked) -> None:
    agencies.set_contacts(
        asked.desk, asked.viewer, asked.params["agency"], given(asked.body["contacts"]), asked.reason()
    )


def _shown(each: Row) -> dict[str, Any]:
    notice = each.notice
    return {
        "code": each.agency.code,
        "name": both(each.agency.name),
        "level": each.agency.level,
        "state": each.agency.state,
        "contact": dict(lasting(each.agency.contacts)),
        "contacts": [{**held.contact.stated(), "holds": held.holds} for held in each.contacts],
        "missing_duties": list(each.missing),
        "systems": [{"id": system.id, "ready": ready} for system, ready in each.systems],
        "grants": [grant.id for grant in each.grants],
        "notice": None
        if notice is None
        else {"reason": both(notice.reason), "since": rfc3339(notice.since), "until": when(notice.until)},
    }


OPERATIONS = {
    "listAgencies": list_agencies,
    "readAgency": read_agency,
    "suspendAgency": suspend,
    "resumeAgency": resume,
    "setContacts": set_contacts,
}

"""What an insider edits in the tables of the registry: a plausible value in each, and the row that is to be named."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, update

from gateway.journal.schema import tables
from gateway.journal.values import keep
from gateway.sandbox import people
from tests.registry.making import NOW


def stranger_edited(inside: Connection) -> str:
    """His own key in the place of the centre's system, by a copy of its row."""
    table = tables.system_key
    row = dict(inside.execute(select(table).where(table.c.key_id == "y-te.sign-1")).mappings().one())
    inside.execute(insert(table).values({**row, "key_id": "y-te.sign-9", "thumbprint": "s" * 43}))
    return "system_key y-te.sign-9: added"


def grant_edited(inside: Connection) -> str:
    """A duty that officers suspended comes back, or one that holds goes."""
    table = tables.access_grant
    inside.execute(update(table).where(table.c.id == "G-0006").values(state="suspended"))
    return "access_grant G-0006: altered"


def role_edited(inside: Connection) -> str:
    name = str(
        inside.scalar(
            select(tables.agency.c.code).where(~tables.agency.c.roles.contains("centre")).order_by(tables.agency.c.code)
        )
    )
    inside.execute(update(tables.agency).where(tables.agency.c.code == name).values(roles='["centre"]'))
    return f"agency {name}: altered"


def approval_edited(inside: Connection) -> str:
    table = tables.approval
    row = inside.execute(select(table).where(table.c.subject == "grant G-0006").limit(1)).one()
    where = (table.c.subject == row.subject) & (table.c.digest == row.digest) & (table.c.officer == row.officer)
    inside.execute(delete(table).where(where))
    return f'approval ["{row.subject}","{row.digest}","{row.officer}"]: missing'


def bundle_edited(inside: Connection) -> str:
    digest = inside.scalar(select(tables.bundle.c.digest).order_by(tables.bundle.c.digest))
    inside.execute(update(tables.bundle).where(tables.bundle.c.digest == digest).values(withdrawn=True))
    return f"bundle {digest}: altered"


def status_edited(inside: Connection) -> str:
    times = {"this_update": NOW, "next_update": NOW + 9e6}
    inside.execute(
        insert(tables.certificate_status).values(
            thumbprint="t" * 43, source="ocsp", authority="x", status="good", digest="0" * 64, **times
        )
    )
    return f'certificate_status ["{"t" * 43}","ocsp"]: added'


def pointer_edited(inside: Connection) -> str:
    table = tables.contract_in_force
    other = inside.scalar(
        select(table.c.digest).where(table.c.contract != "incident-alert/v1").order_by(table.c.contract)
    )
    inside.execute(update(table).where(table.c.contract == "incident-alert/v1").values(digest=other))
    return "contract_in_force incident-alert/v1: altered"


def notice_edited(inside: Connection) -> str:
    inside.execute(
        insert(tables.notice).values(what="system", id="y-te", reason_vi="bảo trì", reason_en="maintenance", since=NOW)
    )
    return 'notice ["system","y-te"]: added'


def officer_edited(inside: Connection) -> str:
    inside.execute(update(tables.officer).where(tables.officer.c.id == "can-bo-an-toan-1").values(state="retired"))
    return "officer can-bo-an-toan-1: altered"


def passkey_edited(inside: Connection) -> str:
    """A passkey of one's own for an officer's approvals."""
    row = {
        "thumbprint": "cua-toi",
        "officer": "can-bo-an-toan-1",
        "credential": "AAAA",
        "origin": "https://kho.invalid",
    }
    pem = inside.scalar(select(tables.officer.c.public_key).where(tables.officer.c.id == "can-bo-an-toan-2"))
    inside.execute(insert(tables.officer_passkey).values(**row, public_key=pem, state="open", since=NOW))
    return "officer_passkey cua-toi: added"


def authority_edited(inside: Connection) -> str:
    inside.execute(
        insert(tables.outside_authority).values(
            name="cua-toi", uses='["sign"]', certificates="-", crl="[]", grace=3600.5
        )
    )
    return "outside_authority cua-toi: added"


def route_edited(inside: Connection) -> str:
    row = inside.execute(select(tables.route.c.id, tables.route.c.system).order_by(tables.route.c.id).limit(1)).one()
    inside.execute(update(tables.route).where(tables.route.c.id == row.id).values(system="y-te"))
    return f"route {row.id}: altered"


def system_edited(inside: Connection) -> str:
    inside.execute(
        update(tables.system)
        .where(tables.system.c.id == "do-thi")
        .values(endpoint='{"kind":"rest","url":"https://kho.invalid"}')
    )
    return "system do-thi: altered"


def proposal_edited(inside: Connection) -> str:
    """Content that was replaced or withdrawn is to be signed again."""
    table = tables.registry_proposal
    where = (table.c.subject == "system do-thi") & (table.c.edition == 1)
    inside.execute(update(table).where(where).values(state="waiting"))
    return 'registry_proposal ["system do-thi",1]: altered'


def opened_edited(inside: Connection) -> str:
    keep(inside, "restored", json.dumps({"at": NOW, "confirmed": True}))
    return "instance restored: added"


def person_edited(inside: Connection) -> str:
    """An auditor who makes an operator of themselves."""
    inside.execute(update(tables.person).where(tables.person.c.id == people.AUDITOR).values(role="operator"))
    return f"person {people.AUDITOR}: altered"


def indicator_edited(inside: Connection) -> str:
    """A definition by which another agency owes the values."""
    inside.execute(insert(tables.indicator).values(code="KT-05", version=9, body='{"owner":"H14.7"}'))
    return 'indicator ["KT-05",9]: added'


EDITS: dict[str, Callable[[Connection], str]] = {
    "access_grant": grant_edited,
    "agency": role_edited,
    "approval": approval_edited,
    "bundle": bundle_edited,
    "certificate_status": status_edited,
    "contract_in_force": pointer_edited,
    "indicator": indicator_edited,
    "notice": notice_edited,
    "officer": officer_edited,
    "officer_passkey": passkey_edited,
    "outside_authority": authority_edited,
    "person": person_edited,
    "registry_proposal": proposal_edited,
    "route": route_edited,
    "system": system_edited,
    "system_key": stranger_edited,
    "instance": opened_edited,
}

"""States the registry as the document that `gateway.registry.changes.applying` takes, to begin a change from.

What waits for officers is stated as proposed, since a document without it withdraws it. A state is given only where
something is suspended, so that applying the document later lifts no suspension.
Not stated: keys that were enrolled, grants that were proposed or adopted, revoked keys and grants, passkeys. A document
does not change them.
Invariant: applying the text unchanged changes nothing, as long as the contracts in force allow what it states.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import yaml
from sqlalchemy import Connection, select

from gateway.journal.schema import tables
from gateway.registry import contacts
from gateway.registry.changes.content import CALLBACK, PROPOSED, SOURCES, Content, Subject, in_force
from gateway.registry.changes.keys import outside
from gateway.registry.changes.officers import OFFICERS, PERSONS, Roll, listed
from gateway.registry.changes.proposals import Proposal, proposals
from gateway.registry.records import ACTIVE, NEWEST, REVOKED, SUSPENDED
from gateway.registry.seals.revisions import revision
from gateway.registry.tenants import is_tenant
from gateway.registry.versions import by_minor, stored
from security.grants.grants import Grant
from security.grants.windows import VIETNAM

_DAY: Final = 86_400.0
_HEAD: Final = """\
# The registry, revision {revision}, as a registry document / Sổ đăng ký, lần sửa {revision}, dạng tài liệu đăng ký.
# Change it and apply it. What it leaves out is suspended or removed.
# Sửa rồi áp dụng. Những gì tài liệu bỏ đi sẽ bị tạm dừng hoặc gỡ.
# Enrolled keys and grants proposed one by one are not stated and stay as they are.
# Khóa đã đăng ký và quyền đề xuất riêng không ghi ở đây và giữ nguyên.
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines, such as certificates, as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def document_text(connection: Connection) -> str:
    """The document, YAML 1.1. Call it in a snapshot."""
    stated = {name: rows for name, rows in _document(connection).items() if rows}
    body = yaml.dump(stated, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120) if stated else "{}\n"
    return _HEAD.format(revision=revision(connection)) + body


def _document(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    waiting = proposals(connection, "waiting")
    contents: dict[Subject, Content] = {**in_force(connection), **{key: each.content for key, each in waiting.items()}}
    return {
        "authorities": [
            {
                "name": each.name,
                "uses": list(each.uses),
                "certificates": each.certificates,
                **({"crl": list(each.crl)} if each.crl else {}),
                **({"ocsp": each.ocsp} if each.ocsp else {}),
                "grace": round(each.grace / 3600),
            }
            for _name, each in sorted(outside(connection).items())
        ],
        "agencies": list(_agencies(connection, contents)),
        "officers": _people(connection, OFFICERS),
        "people": _people(connection, PERSONS),
        "systems": list(_systems(connection, contents, waiting)),
        "routes": list(_routes(contents)),
        "grants": list(_grants(connection)),
    }


def _agencies(connection: Connection, contents: Mapping[Subject, Content]) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(tables.agency).order_by(tables.agency.c.code)):
        if is_tenant(row.code):  # it enrolled without a document
            continue
        yield {
            "code": row.code,
            "name": {"vi": row.name_vi, "en": row.name_en},
            "level": row.level,
            "roles": contents[Subject("agency", row.code)]["roles"],
            **_contacts(row.contact),
            **_state(row.state),
        }


def _systems(
    connection: Connection, contents: Mapping[Subject, Content], waiting: Mapping[Subject, Proposal]
) -> Iterator[dict[str, Any]]:
    published = set(by_minor(stored(connection)))
    keys = _keys(connection)
    for row in connection.execute(select(tables.system).order_by(tables.system.c.id)):
        subject = Subject("system", row.id)
        content, held = contents.get(subject), waiting.get(subject)
        if content is None or is_tenant(row.agency):  # withdrawn and never in force; or enrolled without a document
            continue
        pins: Mapping[str, str] = content.get("versions", {})
        formats = {
            contract: {"format": name, "version": pins[contract]}
            if contract in pins and (pins[contract] == NEWEST or (contract, pins[contract]) in published)
            else name
            for contract, name in content["formats"].items()
        }
        yield {
            "id": row.id,
            "agency": content["agency"],
            "title": {"vi": row.title_vi, "en": row.title_en},
            **({"formats": formats} if formats else {}),
            **_reached(content),
            **({SOURCES: [_source(each) for each in content[SOURCES]]} if SOURCES in content else {}),
            **_contacts(row.contact),
            **_state(held.standing if held is not None and row.state == PROPOSED else row.state),
            **({"keys": keys[row.id]} if row.id in keys else {}),
        }


def _reached(content: Content) -> dict[str, Any]:
    """The endpoint, and the address for callbacks beside it."""
    endpoint = dict(content.get("endpoint", {}))
    callback = {CALLBACK: endpoint.pop(CALLBACK)} if CALLBACK in endpoint else {}
    return {**({"endpoint": endpoint} if endpoint else {}), **callback}


def _source(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if value}


def _keys(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The keys that documents stated, by system."""
    table, found = tables.system_key.c, dict[str, list[dict[str, Any]]]()
    for row in connection.execute(select(*table).where(table.state == ACTIVE).order_by(table.key_id)):
        if row.stated:
            algorithm = {"algorithm": row.algorithm} if row.algorithm is not None else {}
            stated = {"id": row.key_id, "use": row.use, **algorithm, "certificate": row.certificate}
            found.setdefault(row.system, []).append(stated)
    return found


def _people(connection: Connection, roll: Roll) -> list[dict[str, Any]]:
    """With those who left: an id keeps its key for ever."""
    return [
        {
            "id": each.id,
            "agency": each.agency,
            "name": {"vi": each.name.vi, "en": each.name.en},
            **({"role": each.role} if roll is PERSONS else {}),
            **({"state": each.state} if each.state in ("retired", "revoked") else {}),
            "key": each.public_pem,
        }
        for each in listed(connection, roll).values()
    ]


def _routes(contents: Mapping[Subject, Content]) -> Iterator[dict[str, Any]]:
    for subject, content in sorted(contents.items()):
        for step in content["table"] if subject.what == "route" else ():
            stated = {name: value for name, value in step.items() if value}
            if "agencies" in stated:
                stated["agency"] = stated.pop("agencies")
            yield {"contract": content["contract"], "operation": content["operation"], **stated}


def _grants(connection: Connection) -> Iterator[dict[str, Any]]:
    """Those of documents."""
    table = tables.access_grant.c
    query = select(table.body).where(table.source == "document", table.state != REVOKED).order_by(table.id)
    for body in connection.scalars(query):
        grant = Grant.from_json(json.loads(body))
        days = {"valid_from": _day(grant.valid_from), "valid_until": _day(grant.valid_until - _DAY)}
        yield {**grant.content(), **days}


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).astimezone(VIETNAM).date()


def _contacts(text: str | None) -> dict[str, Any]:
    """With days as YAML has them."""
    form = contacts.stated(contacts.read(text))
    for each in form.get("contacts", ()):
        each |= {name: date.fromisoformat(each[name]) for name in contacts.DAYS if name in each}
    return form


def _state(state: str) -> dict[str, str]:
    return {"state": SUSPENDED} if state == SUSPENDED else {}

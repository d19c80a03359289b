"""Operations on contracts: what is in force, mapping tables, differences, one message tried."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import text_of
from gateway.console.site.operation import Asked, both
from gateway.console.work import contracts


def list_contracts(asked: Asked) -> Any:
    return {"contracts": [{**_head(each), "versions": count} for each, count in contracts.listed(asked.desk)]}


def read_contract(asked: Asked) -> Any:
    name = _name(asked)
    found = contracts.in_force(asked.desk, name)
    versions, pinned = contracts.stored(asked.desk, name)
    return {
        **_head(found),
        "operations": [
            {"name": each, "title": both(title), "receivers": systems}
            for each, title, systems in contracts.receivers(asked.desk, found)
        ],
        "messages": {
            each: [
                {"path": line.path, "kind": line.kind, "required": line.required, "personal": line.mark}
                for line in contracts.fields(found.messages[each])
            ]
            for each in found.exchanged
        },
        "versions": [
            {"version": each.version, "digest": each.digest, "withdrawn": each.withdrawn} for each in versions
        ],
        "pinned": dict(pinned),
    }


def read_mapping(asked: Asked) -> Any:
    found = contracts.mapping(asked.desk, _name(asked), asked.params["format"])
    return {
        "messages": [
            {
                "message": message,
                "rows": [{"canonical": each.canonical, "here": each.here, "rest": each.rest} for each in table["rows"]],
                "drops": list(table["drops"] or ()),
                "ignores": list(table["ignores"] or ()),
            }
            for message, table in found.items()
        ]
    }


def compare(asked: Asked) -> Any:
    found = contracts.compare(asked.desk, _name(asked), asked.params["old"], asked.params["new"])
    return {
        "old": found.old.version,
        "new": found.new.version,
        "level": found.level.name.lower(),
        "changes": [
            {"code": each.code, "level": each.level.name.lower(), "where": each.where, "facts": dict(each.facts)}
            for each in found.changes
        ],
    }


def try_message(asked: Asked) -> Any:
    """Nothing is stored or sent."""
    body = asked.body
    found = contracts.tried(asked.desk, _name(asked), body["format"], body.get("message", ""), body["text"])
    failure = found.failure
    return {
        "ok": found.ok,
        "message": found.message,
        "canonical": None if found.canonical is None else text_of(found.canonical),
        "failure": None
        if failure is None
        else {"code": failure.code, "findings": [asdict(each) for each in failure.findings]},
        "written": [
            {
                "format": each.format,
                "outcome": each.outcome,
                "losses": list(each.losses),
                "text": None if each.media == "xlsx" else each.text.decode("utf-8", "replace"),
            }
            for each in found.written
        ],
    }


def _head(each: CompiledContract) -> dict[str, Any]:
    contract = each.contract
    formats = list(each.formats)
    return {"name": contract.name, "version": contract.version, "title": both(contract.title), "formats": formats}


def _name(asked: Asked) -> str:
    return f"{asked.params['id']}/{asked.params['major']}"


OPERATIONS = {
    "listContracts": list_contracts,
    "readContract": read_contract,
    "readMapping": read_mapping,
    "compareVersions": compare,
    "tryMessage": try_message,
}

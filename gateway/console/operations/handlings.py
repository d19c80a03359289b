"""Operations on handlings."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import handled_messages, handlings
from gateway.workflow.records import Wanted
from gateway.workflow.showing import listed, shown


def list_handlings(asked: Asked) -> Any:
    params = asked.params
    given = {name: params[name] or "" for name in ("list", *handlings.FILTERS)}
    found = handlings.inbox(asked.desk, asked.viewer, given, params["cursor"], params["limit"])
    return {
        "at": rfc3339(found.now),
        "handlings": [listed(each.handling, found.now) for each in found.rows],
        "next": found.next,
        "counts": [each._asdict() for each in found.counts],
    }


def read_handling(asked: Asked) -> Any:
    found = handlings.one(asked.desk, asked.viewer, asked.params["handling"])
    return shown(found.seen, found.possible, found.now)


def take_step(asked: Asked) -> Any:
    body = asked.body
    wanted = Wanted(body["step"], body.get("reason", ""), body.get("to"), body.get("into"))
    row = handlings.take(asked.desk, asked.viewer, asked.params["handling"], wanted)
    return listed(row, asked.now)


def read_message(asked: Asked) -> Any:
    found = handled_messages.read(asked.desk, asked.viewer, asked.params["handling"])
    return {
        "handling": asked.params["handling"],
        "transfer": found.transfer,
        "fields": [{"path": each.path, "values": list(each.values)} for each in found.fields],
        "withheld": list(found.withheld),
    }


OPERATIONS = {
    "listHandlings": list_handlings,
    "readHandling": read_handling,
    "takeHandlingStep": take_step,
    "readHandlingMessage": read_message,
}

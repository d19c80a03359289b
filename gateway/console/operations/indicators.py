"""Operations on indicators: figures, and definitions."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import indicators
from gateway.doors.api.figures import wanted_of
from gateway.doors.reply import Reply
from gateway.indicators.figures import Wanted


def read_indicators(asked: Asked) -> Reply:
    params = asked.params
    wanted = wanted_of(params, asked.now)
    body, media = indicators.written(asked.desk, asked.viewer, wanted, params["format"], params["state"])
    return Reply(200, {"content-type": media}, body)


def list_indicators(asked: Asked) -> Any:
    it = indicators.definitions(asked.desk)
    listed = []
    for each in (version for versions in it.known.values() for version in versions):
        stored = it.defined.get((each.code, each.version))
        when = {"defined": rfc3339(stored.at), "actor": stored.actor, "entry": stored.entry} if stored else {}
        listed.append({"version": each.version, **each.json(), **when})
    return {"definitions": listed, "document": it.document}


def define_indicators(asked: Asked) -> Any:
    changes = indicators.define(asked.desk, asked.viewer, asked.body["document"], asked.reason())
    return {"changes": [{"id": each.id, "fields": list(each.fields)} for each in changes]}


def list_owed(asked: Asked) -> Any:
    params = asked.params
    wanted = Wanted.of(asked.now, params["from"] or "", params["until"] or "")
    it = indicators.owing(asked.desk, asked.viewer, wanted)
    listed = [
        {
            "indicator": each.definition.code,
            "area": each.area,
            "period": str(each.period),
            "owner": each.definition.owner,
            "due": rfc3339(each.due),
            "delivered": None if each.delivered is None else rfc3339(each.delivered),
            "state": each.state(it.at).value,
        }
        for each in it.values
    ]
    return {"owed": listed}


OPERATIONS = {
    "listOwedIndicators": list_owed,
    "readIndicators": read_indicators,
    "listIndicators": list_indicators,
    "defineIndicators": define_indicators,
}

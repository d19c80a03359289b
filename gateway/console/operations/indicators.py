"""Operations on indicators: figures, and definitions."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import indicators
from gateway.doors.api.figures import wanted_of
from gateway.doors.reply import Reply


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


OPERATIONS = {
    "readIndicators": read_indicators,
    "listIndicators": list_indicators,
    "defineIndicators": define_indicators,
}

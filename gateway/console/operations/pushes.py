"""Operations on feeds by webhook: who gets one, how far he is, and what an operator decides."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import pushes


def list_pushes(asked: Asked) -> Any:
    return {"subscriptions": [each.shown() for each in pushes.every(asked.desk)]}


def read_push(asked: Asked) -> Any:
    found = pushes.one(asked.desk, asked.params["subscription"])
    attempts = [{**each._asdict(), "at": rfc3339(each.at)} for each in found.attempts]
    return {"subscription": found.seen.shown(), "attempts": attempts, "contact": dict(found.contact)}


def decide_push(asked: Asked) -> Any:
    id, how = asked.params["subscription"], asked.params["how"]
    after = pushes.act(asked.desk, asked.viewer, id, how, asked.reason())
    return {"subscription": id, "state": str(after.state)}


OPERATIONS = {"listPushes": list_pushes, "readPush": read_push, "decidePush": decide_push}

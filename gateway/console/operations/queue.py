"""Operations on the queue: its lists, one message, decisions, bulk retries."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import queueing
from gateway.delivery.listing import Message, Wanted
from gateway.journal.jobs import Job


def list_queue(asked: Asked) -> Any:
    found = queueing.queue(asked.desk, _wanted(asked.params), asked.params["cursor"])
    return {
        "messages": [_message(each) for each in found.listed.messages],
        "next": found.listed.next,
        "counts": dict(found.counts),
        "jobs": [_job(each) for each in found.jobs],
    }


def read_message(asked: Asked) -> Any:
    seen = queueing.message(asked.desk, asked.params["transfer"])
    tries = [dict(each) for each in seen.failed.tries]
    decided = [each._asdict() for each in seen.decided]
    told = {"message": _message(seen.message), "failed": tries, "earlier": seen.failed.earlier, "decided": decided}
    if seen.stands is not None:
        told["held"], told["behind"] = seen.stands.held, seen.stands.behind
        told["callback"] = {
            "state": seen.stands.callback,
            "tries": seen.stands.callback_tries,
            "failure": seen.stands.callback_failure,
        }
    return told


def settle(asked: Asked) -> Any:
    body, transfer = asked.body, asked.params["transfer"]
    given = (transfer, body["act"], asked.reason())
    state, _what = queueing.settle(asked.desk, asked.viewer, given, unsent=body.get("unsent", False))
    return {"transfer": transfer, "state": state.value}


def preview(asked: Asked) -> Any:
    found, _messages = queueing.preview(asked.desk, _wanted(asked.params))
    return {"transfers": list(found.transfers), "digest": found.digest, "more": found.more}


def start(asked: Asked) -> Any:
    body = asked.body
    chosen, unsent = (body["digest"], body.get("transfers")), body.get("unsent", False)
    job = queueing.start(asked.desk, asked.viewer, _wanted(body), chosen, asked.reason(), unsent=unsent)
    return {"job": _job(job)}


def read_bulk(asked: Asked) -> Any:
    progress, items = queueing.progress(asked.desk, asked.params["job"])
    return {
        "job": _job(progress.job),
        "total": progress.total,
        "counts": {effect.value: count for effect, count in progress.counts.items()},
        "items": [{"transfer": each.transfer, "effect": each.effect.value, "failure": each.failure} for each in items],
    }


def move(asked: Asked) -> Any:
    id = asked.params["job"]
    queueing.move(asked.desk, asked.viewer, (id, asked.params["how"], asked.reason()))
    return {"job": _job(queueing.progress(asked.desk, id)[0].job)}


def _wanted(given: Any) -> Wanted:
    return queueing.wanted_of({name: given.get(name) or "" for name in ("state", "provider", "failure")})


def _message(each: Message) -> dict[str, Any]:
    times = {
        "committed": rfc3339(each.committed),
        "next_at": None if each.next_at is None else rfc3339(each.next_at),
    }
    return {**each._asdict(), **times, "acts": [act.value for act in each.acts]}


def _job(each: Job) -> dict[str, Any]:
    return {**each.shown(), "phase": each.facts.get("phase"), "left": each.facts.get("left", 0)}


OPERATIONS = {
    "listQueue": list_queue,
    "readQueuedMessage": read_message,
    "settleMessage": settle,
    "previewBulkRetry": preview,
    "startBulkRetry": start,
    "readBulkRetry": read_bulk,
    "moveBulkRetry": move,
}

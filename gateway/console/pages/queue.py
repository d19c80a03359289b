"""The queue: what waits, is dead or in doubt; one message; decisions; bulk retries."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from contracts.base.errors import Failure
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Live, Menu, Moved, Page, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import queueing
from gateway.delivery.bulk import CAP, REPEATABLE
from gateway.delivery.listing import COUNTED, STATES, Wanted
from gateway.journal.jobs import RUNNING

HERE: Final = "/console/queue"
QUEUE_PAUSE = 3.0  # seconds between two looks for a page that is open
NAMES: Final = {
    "in-doubt": N_("In doubt"),
    "waiting": N_("Waiting"),
    "held": N_("Held"),
    "under-way": N_("Under way"),
    "dead": N_("Given up"),
}


def _address(wanted: Wanted, path: str = HERE, **more: str) -> str:
    given = {"state": wanted.state, "provider": wanted.provider, "failure": wanted.failure, **more}
    return f"{path}?{urlencode({name: text for name, text in given.items() if text})}"


def queue(ask: Ask) -> Shown:
    wanted, cursor = queueing.wanted_of(ask.query), ask.query.get("cursor") or None
    found = queueing.queue(ask.desk, wanted, cursor)
    tabs = [(each, NAMES[each], found.counts[each], _address(Wanted(each))) for each in NAMES if each in STATES]
    values = {
        "queue": found,
        "tabs": tabs,
        "counted": COUNTED,
        "next": _address(wanted, cursor=found.listed.next) if found.listed.next else None,
        "first": _address(wanted) if cursor else None,
        "bulk": _address(wanted, f"{HERE}/bulk") if wanted.state in REPEATABLE else None,
    }
    return Shown("queue.html", values)


def message(ask: Ask) -> Shown:
    seen = queueing.message(ask.desk, ask.path["transfer"])
    return Shown("queue-message.html", seen._asdict())


def decide(ask: Ask) -> Moved:
    transfer = ask.path["transfer"]
    given = (transfer, ask.path["act"], ask.reason())
    _state, what = queueing.settle(ask.desk, ask.viewer, given, unsent=ask.form.get("unsent") == "yes")
    return Moved(f"{HERE}/{transfer}", what)


def preview(ask: Ask) -> Shown:
    return _preview(ask, queueing.wanted_of(ask.query), None)


def _preview(ask: Ask, wanted: Wanted, failure: Failure | None) -> Shown:
    seen, messages = queueing.preview(ask.desk, wanted)
    values = {"wanted": wanted, "preview": seen, "messages": messages, "cap": CAP, "back": _address(wanted)}
    values |= {"failure": None if failure is None else failure_values(failure, ask.language)}
    values |= {"reason": ask.form.get("reason", "")}
    return Shown("queue-preview.html", values, 200 if failure is None else failure.status)


def start(ask: Ask) -> Answer:
    """What it cannot start is previewed again, with the reason that was written."""
    wanted = queueing.wanted_of(ask.form)
    chosen, unsent = (ask.field("digest", 64), ask.form.get("transfers", "").split()), ask.form.get("unsent") == "yes"
    try:
        job = queueing.start(ask.desk, ask.viewer, wanted, chosen, ask.reason(), unsent=unsent)
    except Failure as failure:
        return _preview(ask, wanted, failure)
    return Moved(f"{HERE}/bulk/{job.id}", "bulk-started")


def bulk(ask: Ask) -> Shown:
    progress, items = queueing.progress(ask.desk, ask.path["job"])
    begun = ask.begun(dict.fromkeys(("bulk-started", "bulk-resume"), progress.job.state == RUNNING))
    return Shown("queue-bulk.html", {"it": progress, "items": items, **begun})


def bulk_events(ask: Ask) -> Live:
    """The first look tells whether there is such a job."""
    id = ask.path["job"]

    def look() -> object:
        progress, _items = queueing.progress(ask.desk, id)
        return progress.job.state, progress.job.facts, progress.counts

    look()
    return Live(("bulk", id), look, going=lambda: queueing.progress(ask.desk, id)[0].job.state == RUNNING)


def events(ask: Ask) -> Live:
    return Live(("queue",), lambda: queueing.mark(ask.desk), QUEUE_PAUSE)


def move(ask: Ask) -> Moved:
    id, how = ask.path["job"], ask.path["how"]
    queueing.move(ask.desk, ask.viewer, (id, how, ask.reason()))
    return Moved(f"{HERE}/bulk/{id}", f"bulk-{how}")


PAGES = (
    Page("/queue", queue, May.QUEUE, N_("Queue and doubts"), Menu.OPERATION),
    Page("/queue/events", events, May.QUEUE),
    Page("/queue/bulk", preview, May.SETTLE, N_("Retry a whole list")),
    Page("/queue/bulk", start, May.SETTLE, method="POST", operation="startBulkRetry"),
    Page("/queue/bulk/{job}", bulk, May.QUEUE, N_("A bulk retry")),
    Page("/queue/bulk/{job}/events", bulk_events, May.QUEUE),
    Page("/queue/bulk/{job}/{how}", move, May.SETTLE, method="POST", operation="moveBulkRetry"),
    Page("/queue/{transfer}", message, May.QUEUE, N_("A message of the queue")),
    Page("/queue/{transfer}/{act}", decide, May.SETTLE, method="POST", operation="settleMessage"),
)

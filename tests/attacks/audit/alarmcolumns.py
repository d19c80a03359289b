"""The part of the list in `columns.py` about the watch over systems, and the alarms that the whole instance has: one
that is open and acknowledged, and one that is over; both were told.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.journal.database import writing
from gateway.journal.schema import watch_tables
from gateway.registry.snapshot import load_snapshot
from gateway.watch import alarms as watch
from gateway.watch.alarms import Condition, Kind, Look
from tests.attacks.audit.column_kinds import exempt, same
from tests.attacks.audit.picking import Column, later, made, plus, to, where
from tests.attacks.audit.whole import Whole


def alarms() -> Iterator[Column]:
    probe = "probes of a day that has not ended; a scorecard takes the days that have from their entries"
    yield from exempt("probe_day", probe, *watch_tables.probe_day.c.keys())
    derived = "findings are made anew by the keepers that look; who silenced one is an entry"
    yield from exempt("finding", derived, *watch_tables.finding.c.keys())
    alarm, over = where(kind="late"), where(kind="down")
    yield from same(
        "alarm",
        "tables",
        "the alarm {id}",
        {
            "id": (alarm, made(later)),
            "kind": (alarm, to("due")),
            "system": (alarm, to("y-te")),
            "about": (alarm, to("observation/v1")),
            "facts": (over, to('{"waiting":1}')),
            "since": (alarm, plus(-3600)),
            "raised": (alarm, to(None)),
            "ended": (over, plus(3600)),
            "told": (over, plus(3600)),
            "told_end": (over, to(None)),
            "acknowledged": (alarm, to(1.0)),
            "by": (alarm, to("H14.0/minh: test")),
            "reason": (alarm, to("x")),
        },
    )
    yield from exempt("alarm", "how long a condition held before its alarm was raised, which its entry says", "seen")


def raise_alarms(whole: Whole) -> None:
    with writing(whole.engine) as connection:
        snapshot = load_snapshot(connection)
        look = Look(snapshot, whole.now)
        late = Condition("do-thi", "indicator/v1", whole.now - 60, {"contract": "indicator/v1"})
        watch.settle(connection, Kind.LATE, [late], look)
        watch.settle(connection, Kind.DOWN, [Condition("mot-cua", "", whole.now - 60, {})], look)
        watch.acknowledge(connection, watch.raised(connection)[0], ("H14.0/lan: test", "Đang sửa"), look)
        for each in watch.raised(connection):
            watch.mark_told(connection, each, False, look)
        watch.settle(connection, Kind.DOWN, [], look)
        watch.mark_told(connection, watch.raised(connection, ended=True)[0], True, look)

"""The part of the list in `columns.py` about handlings."""

from __future__ import annotations

from collections.abc import Iterator

from tests.attacks.audit.column_kinds import same
from tests.attacks.audit.picking import Column, later, like, made, nth, of, plus, to


def handlings() -> Iterator[Column]:
    row, step = of("alert 4"), nth()
    yield from same(
        "handling",
        "rows",
        "handling {id}",
        {
            "contract": (row, to("field-report/v1")),
            "operation": (row, to("createRequest")),
            "bundle": (row, like(of("dispatched"))),
            "transfer": (row, lambda look, *_: look.whole.made["alert 5"]),
            "message": (row, like(of("alert 5"))),
            "agency": (row, to("H14.2")),
            "system": (row, to("canh-bao")),
            "sender_agency": (row, to("H14.6")),
            "sender_system": (row, to("bao-chay")),
            "kind": (row, to("Geo")),
            "area": (row, to("01392")),
            "state": (row, to("accepted")),
            "ended": (row, to(True)),
            "opened": (row, plus(-3600)),
            "entered": (row, plus(-3600)),
            "due": (row, plus(3600)),
            "whole_due": (row, plus(3600)),
            "nearest": (row, plus(3600)),
            "merged_into": (row, to("x")),
            "version": (row, plus(1)),
            "next_at": (row, to(9_999_999_999)),
            "told": (row, plus(1)),
            "seal": (row, like(of("alert 5"))),
        },
    )
    yield Column("handling", "id", "rows", row, made(later), "handling")
    yield from same(
        "handling_step",
        "rows",
        "handling {handling}: ",
        {
            "number": (step, plus(5)),
            "step": (step, to("accept")),
            "source": (step, to("sent")),
            "target": (step, to("done")),
            "party": (step, to("centre")),
            "agency": (step, to("H14.2")),
            "actor": (step, to("H14.2/canh-bao")),
            "reason": (step, to("x")),
            "at": (step, plus(-3600)),
            "transfer": (step, lambda look, *_: look.whole.made["alert 5"]),
        },
    )
    yield Column("handling_step", "handling", "rows", step, made(later), "handling")

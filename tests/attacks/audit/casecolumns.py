"""The part of the list in `columns.py` about cases, and the cases that the whole instance has."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.cases.acting import Acting, By, Reply
from gateway.cases.checks import Wanted
from gateway.cases.texts import checked
from gateway.keys.keyring import Keyring
from gateway.registry.snapshot import load_snapshot
from gateway.vault.vault import Vault
from tests.attacks.audit.column_kinds import same
from tests.attacks.audit.picking import Column, json_with, later, made, nth, plus, to, where
from tests.attacks.audit.whole import Whole

DAY = 86_400.0


def cases() -> Iterator[Column]:
    case, answered = where(kind="complaint"), where(role="receiver", agency="H14.3")
    outage = where(kind="outage")
    yield from same(
        "agency_case",
        "tables",
        "the case {id}",
        {
            "id": (case, made(later)),
            "kind": (case, to("difficulty")),
            "sender": (case, to("H14.4")),
            "reference": (case, to("system:y-te")),
            "answers": (case, to(0)),
            "opened": (case, made(lambda text: text.replace("2026", "2025"))),
            "due": (case, to("2099-01-01T00:00:00.000Z")),
            "begins": (outage, to("2099-01-01T00:00:00.000Z")),
            "ends": (outage, to("2099-01-01T00:00:00.000Z")),
            "state": (case, to("closed")),
            "changed": (case, to("2099-01-01T00:00:00.000Z")),
            "steps": (case, plus(1)),
            "remind_at": (outage, to(None)),
        },
    )
    yield from same(
        "agency_case_party",
        "tables",
        "the party of case {case_id} {agency}",
        {
            "case_id": (answered, made(later)),
            "agency": (answered, to("H14.5")),
            "role": (answered, to("sender")),
            "acknowledged": (answered, to(None)),
            "answered": (answered, to(None)),
        },
    )
    yield from same(
        "agency_case_step",
        "tables",
        "the step of case {case_id} {number}",
        {
            "case_id": (nth(), made(later)),
            "number": (nth(), plus(7)),
            "at": (nth(), to("2099-01-01T00:00:00.000Z")),
            "actor": (nth(), to("H14.5/lan: test")),
            "facts": (nth(), json_with(agency="H14.5")),
        },
    )


def open_cases(whole: Whole) -> None:
    """One that was answered, and one that tells of an outage."""
    vault = Vault(whole.settings.vault_keys, at_rest=Keyring(whole.settings).at_rest)
    with whole.engine.connect() as connection:
        snapshot = load_snapshot(connection)
    acting = Acting(engine=whole.engine, vault=vault, snapshot=snapshot, clock=lambda: whole.now)
    asks, answers = By("H14.7", "H14.7/an: test"), By("H14.3", "H14.3/binh: test")
    content = checked("Thiếu số liệu", "Đề nghị gửi lại.")
    first = acting.open(
        asks, Wanted(kind="complaint", content=content, receivers=("H14.3",), reference="system:do-thi")
    )
    acting.act(answers, first.id, "answer", Reply(content=content))
    begins = whole.now + 40 * DAY
    acting.open(asks, Wanted(kind="outage", content=content, begins=begins, ends=begins + 3600))

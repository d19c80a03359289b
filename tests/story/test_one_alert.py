"""The story of one alert: in by SOAP at two in the morning, handled by agencies, seen by all who take part."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import yaml
from sqlalchemy import Engine, select

from contracts.base.times import moment
from contracts.wire.soap import V11
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.doors.exchange_app import ExchangeApp
from gateway.doors.http.shell import Shell
from gateway.doors.soap import SoapDoor
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.sandbox.standins import messages
from gateway.transfer import lease as leases
from gateway.transfer.stages import Answered
from gateway.workflow import reading
from gateway.workflow.points import ESCALATE
from gateway.workflow.records import Actor
from gateway.workflow.watching import NOTE, Watching
from security.wssec.decrypt import BodyKeys
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope
from tests.doors.api.client import Answer, ask
from tests.exchange.house import house
from tests.registry.making import NOW, PROVINCE, House, Identity
from tests.workflow.desks import Town, nothing

ROOT = Path(__file__).resolve().parents[2]
NIGHT = NOW - 12 * 3600  # Tuesday 2026-11-24, 02:00 in Vietnam
BASE = "https://gateway.example"


def at_night() -> str:
    """The province, where the police have the night."""
    province = yaml.safe_load(PROVINCE)
    for route in province["routes"]:
        if "Met" in route.get("when", {}).get("info[].category[]", ()):
            route["outside"] = "H14.6"
    return yaml.safe_dump(province, allow_unicode=True)


class Night(Town):
    """A town whose warning system calls the SOAP door; its clock stands until it is moved."""

    caller: Identity
    app: Shell

    def serve(self, caller: Identity, own: Identity) -> None:
        gateway = self.gateway

        def clock() -> float:
            return gateway.now

        unused = cast(Any, None)
        exchange = Exchange(gateway.journal, gateway.vault, unused, gateway.engine, "door-1", str, clock, 1.0)
        soap = SoapDoor(own.sign, BodyKeys([]), lambda: "", clock)
        app = ExchangeApp(exchange, unused, soap, unused, BASE, 100_000, clock)
        self.caller = caller
        self.app = Shell(app, self.office.registry, BASE, 5.0, clock, unused)

    def logged(self, id: str) -> list[dict[str, Any]]:
        """The entries of the log about a handling."""
        with self.gateway.engine.connect() as connection:
            table = tables.log_entry.c
            rows = connection.scalars(select(table.entry).where(table.transfer == id).order_by(table.idx))
            return [json.loads(bytes(raw)) for raw in rows]

    def told(self, at: float) -> list[dict[str, Any]]:
        """What was told of deadlines at a moment, as the log has it."""
        table = tables.log_pending.c
        with self.gateway.engine.connect() as connection:
            rows = [json.loads(bytes(raw)) for raw in connection.scalars(select(table.entry).order_by(table.id))]
        return [each for each in rows if each.get("what") == NOTE and moment(each["at"]) == at]

    def mailed(self, at: float, kind: str) -> set[str]:
        """The agencies whose contacts get a mail that was made then."""
        table = tables.mail.c
        with self.gateway.engine.connect() as connection:
            return set(connection.scalars(select(table.system).where(table.made == at, table.kind == kind)))

    def overdue(self) -> dict[str, int]:
        with self.gateway.engine.connect() as connection:
            counts = reading.counts(connection, self.gateway.now)
        return {each.agency: each.overdue for each in counts if each.overdue}

    def by_soap(self, content: bytes) -> Answer:
        headers = EnvelopeHeaders(action="urn:lgsp:contract:incident-alert:v1:submitAlert", message_id="urn:uuid:1")
        body = sign_envelope(content, self.caller.sign, self.gateway.now, headers, version=V11)
        sent = {"content-type": V11.media_type, "soapaction": '"urn:lgsp:contract:incident-alert:v1:submitAlert"'}
        target = "/soap/incident-alert/v1"
        return asyncio.run(ask(self.app, "POST", target, sent, body, certificate=self.caller.tls_der))


@pytest.fixture
def night(sqlite: Engine, tmp_path: Path) -> Iterator[Night]:
    keys = House.make(tmp_path, NIGHT)
    caller, own = keys.identity("canh-bao", NIGHT), keys.identity("gateway", NIGHT)
    with house(sqlite, tmp_path, at_night()) as gateway:
        gateway.now = NIGHT
        with writing(sqlite) as connection:
            store.add_key(connection, "canh-bao.tls-1", "canh-bao", "tls", caller.tls_certificate)
            store.add_key(connection, "canh-bao.sign-1", "canh-bao", "sign", caller.sign_certificate)
            lease = leases.take(connection, "keeper-1", NIGHT, seconds=86_400)
        assert lease is not None
        key, checkpoint = LogKey.open(tmp_path / "log.key", "localhost/lgsp-test"), CheckpointFile(tmp_path / "point")
        sequencer = Sequencer(sqlite, lock_of(sqlite), key, checkpoint, clock=lambda: gateway.now + 1)
        town = Night(gateway, sequencer, lease)
        town.serve(caller, own)
        yield town


CENTRE = Actor("H14.0/lan", "H14.0", centre=True)
SENDER = "H14.2"
PAGES = [ROOT / "docs" / "handling.md", ROOT / "docs" / "vi" / "handling.md"]


def clock(at: float | None) -> str:
    return "–" if at is None else time.strftime("%H:%M", time.gmtime(at + 7 * 3600))


@dataclass
class Story:
    """One handling from outside: what each party sees after each step."""

    night: Night
    id: str
    lines: list[tuple[str, ...]] = field(default_factory=list)

    def at(self, hour: int, minute: int) -> None:
        """The minutes until then pass, and the keeper looks at the deadlines in each."""
        gateway = self.night.gateway
        while gateway.now < NIGHT + ((hour - 2) * 60 + minute) * 60:
            gateway.now += 60
            Watching(self.night.office, True).step(nothing)
            for entry in self.night.told(gateway.now):
                facts = entry["facts"]
                (named,) = facts["handlings"]
                assert named["handling"] == self.id and self.night.mailed(gateway.now, facts["subject"])
                due, state = named["due"], named["state"]
                by = f"`{facts['subject'].removeprefix('handling-')}`"
                self.lines.append((clock(gateway.now), by, "–", facts["agency"], f"`{state}`", clock(due)))

    def report(self, system: str, step: str, reason: str = "") -> None:
        """A system of the agency reports a step; the gateway judges it by the workflow."""
        more = {"reason": reason} if reason else {}
        outcome = self.night.tell(system, handling=self.id, step=step, **more)
        assert isinstance(outcome, Answered), outcome
        self.seen(reason or None)

    def act(self, step: str, reason: str, **more: Any) -> None:
        """A person of the centre takes a step."""
        self.night.act(self.id, step, CENTRE, reason, **more)
        self.seen(reason)

    def seen(self, reason: str | None = None) -> None:
        """Sender, agency and centre see the same state; the feed and the log have the step."""
        night = self.night
        events = night.events()  # the keeper puts entries and events in order first
        seen, last = night.seen(self.id), events[-1]["data"]
        row, step = seen.row, seen.steps[-1]
        for party in (SENDER, row.agency):
            assert night.handlings(concerning=party) == (row,), party
        assert night.handlings() == (row,) and seen.sound and step.reason == reason
        assert (last["state"], last["agency"], last["number"]) == (row.state, row.agency, row.version)
        entry = night.logged(self.id)[-1]
        assert (entry["what"], entry["facts"]["state"]) == ("handling", row.state) and night.wrong() == ()
        due = clock(seen.terms.due)
        at, by = clock(night.gateway.now), step.step.agency or "–"
        self.lines.append((at, f"`{step.step.step}`", by, row.agency, f"`{row.state}`", due))


def test_one_alert(night: Night) -> None:
    """Routed by the night table, refused, sent elsewhere, taken in, overdue, escalated, done, opened again, done."""
    alert = messages.cap_alert(identifier="CB-2026-0200", now=NIGHT, chance=Random(1))
    answer = night.by_soap(alert.partition(b"?>")[2].strip())
    assert answer.status == 200, answer.body
    night.follow()
    (row,) = night.handlings()
    story = Story(night, row.id)
    story.seen()
    story.at(2, 5)
    story.report("bao-chay", "refuse", "Sạt lở đường thuộc thẩm quyền của Sở Xây dựng.")
    story.at(2, 8)
    story.act("forward", "Chuyển Sở Xây dựng xử lý.", to="H14.3")
    story.at(2, 18)
    story.report("do-thi", "accept")
    story.at(3, 40)
    assert night.overdue() == {"H14.3": 1} and night.mailed(NIGHT + 78 * 60, ESCALATE) == {"H14.3", "H14.0"}
    story.report("do-thi", "finish", "Đã thông một làn đường.")
    story.at(6, 30)
    story.act("reopen", "Đất đá lại tràn xuống đường.")
    story.at(7, 15)
    story.report("do-thi", "finish", "Đã thông đường hoàn toàn, có người canh gác.")
    assert night.overdue() == {}
    for page in PAGES:
        lines = [line for line in page.read_text("utf-8").splitlines() if re.match(r"\| \d\d:\d\d ", line)]
        cells = [tuple(cell.strip() for cell in line.strip("|").split("|"))[:6] for line in lines]
        assert cells == story.lines, page.name

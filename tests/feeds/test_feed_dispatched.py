"""Dispatched messages in the feed: one event for each that ended, with the request and its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, update

from adapters.errors import PROVIDER_REFUSED, Acted
from contracts.base.errors import Finding
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.complete import check_complete
from gateway.feeds import read, read_raw
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.transfer import lease as leases
from gateway.transfer.stages import Answered, Refused
from gateway.transfer.transfer_records import failed_rules
from gateway.vault import binding
from security.transparency.merkle import leaf_hash
from tests.exchange.house import Call, Gateway, house, sample
from tests.registry.making import NOW, OF_DOCUMENTS, PROVINCE, contracts

FEED, OPERATION = "field-report/v1", "createRequest"
TYPE = "urn:lgsp:contract:field-report:v1:createRequest"
NEW = ("lgspcompleteness", "lgspage", "lgspfailedrules")
TRANSFER, EVENT, VAULT, LOG = tables.transfer, tables.feed_event, tables.vault, tables.log_entry


# A dispatch whose contract does not ask for events.
DOCUMENTS = OF_DOCUMENTS.sub("", PROVINCE).replace(
    "\nroutes:\n", "\nroutes:\n  - {contract: official-document/v1, operation: sendDocument, system: do-thi}\n"
) + "".join(
    f"""
  - id: {id}
    agency: {agency}
    contract: official-document/v1
    operations: [sendDocument]
    receives: {receives}
    purpose: Gửi, nhận văn bản điện tử
    legal_basis: Quyết định 28/2018/QĐ-TTg
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""
    for id, agency, receives in (("G-0901", "H14.5", "false"), ("G-0902", "H14.3", "true"))
)


@dataclass
class Place:
    gateway: Gateway
    sequencer: Sequencer
    lease: leases.Lease

    def dispatch(self, message_id: str, contract: str = FEED, operation: str = OPERATION, **how: Any) -> str:
        """The id of the transfer."""
        answered = self.gateway.call("full", contract, operation, message_id, **how)
        assert isinstance(answered, Answered), answered
        return answered.receipt.transfer

    def sequence(self) -> None:
        for _ in range(3):  # the first run of a new log only signs the empty tree
            self.sequencer.run_once(self.lease)

    def events(self, contract: str = FEED) -> list[dict[str, Any]]:
        self.sequence()
        with self.gateway.engine.connect() as connection:
            page = read(connection, contract, None, 100, vault=self.gateway.vault)
            raw = read_raw(connection, contract, None, 100, vault=self.gateway.vault)
        events: list[dict[str, Any]] = json.loads(json.dumps(page.events, default=float))
        assert [json.loads(each) for each in raw.events] == events
        return events

    def verified(self) -> tuple[str, ...]:
        with self.gateway.engine.connect() as connection:
            return check_complete(connection, hash_id=str).wrong


@pytest.fixture
def place(database: Engine, tmp_path: Path) -> Iterator[Place]:
    with house(database, tmp_path, DOCUMENTS) as gateway:
        with writing(database) as connection:
            lease = leases.take(connection, "keeper-1", NOW, seconds=600)
        assert lease is not None
        key = LogKey.open(tmp_path / "log.key", "localhost/lgsp-test")
        checkpoint = CheckpointFile(tmp_path / "checkpoint")
        yield Place(gateway, Sequencer(database, lock_of(database), key, checkpoint, clock=lambda: NOW + 1), lease)


def test_each_end_is_one_event(place: Place) -> None:
    handled = place.dispatch("m-1")
    assert place.dispatch("m-1") == handled, "a repeat gets the first answer"
    refused = place.dispatch("m-2", failure=PROVIDER_REFUSED(acted=Acted.NO, system="do-thi", status=422, final=True))
    waiting = place.dispatch("m-3", resting=True)
    one, two = place.events()
    request, answer = (sample(contracts()[FEED], each) for each in ("ServiceRequest", "ServiceRequestReceived"))
    as_json = json.loads(json.dumps([request, answer], default=float))
    assert (one["id"], one["type"], one["sequence"]) == (handled, f"{TYPE}:handled", f"{1:020d}")
    assert [one["data"]["request"], one["data"]["answer"]] == as_json and set(one["data"]) == {"request", "answer"}
    assert one["subject"] == answer["service_request_id"] and "subject" not in two, "the case of who handles it"
    assert (one["lgspagency"], one["source"]) == ("H14.5", "urn:lgsp:system:phan-anh") and "lgspfailure" not in one
    assert (two["id"], two["type"], two["lgspfailure"]) == (refused, f"{TYPE}:refused", "provider.refused")
    assert two["data"] == {"request": as_json[0]}
    assert waiting not in (one["id"], two["id"]) and place.verified() == ()


def test_a_contract_that_does_not_ask_for_it_has_none(place: Place) -> None:
    transfer = place.dispatch("m-1", "official-document/v1", "sendDocument")
    place.sequence()
    with place.gateway.engine.connect() as connection:
        assert connection.scalar(select(TRANSFER.c.state).where(TRANSFER.c.id == transfer)) == "answered"
        assert connection.scalars(select(EVENT.c.transfer)).all() == []
    assert place.verified() == ()


def test_past_its_retention_an_event_stays_as_a_tombstone(place: Place) -> None:
    place.dispatch("m-1")
    place.events()
    vault = place.gateway.vault
    vault.destroy(vault.seal("x", "y", b"", NOW, "m24").key_id, NOW)
    (event,) = place.events()
    assert event["tombstonereason"] == "retention" and "data" not in event and event["type"] == f"{TYPE}:handled"


Change = Callable[[Connection, str, str], object]


def _row(**values: Any) -> Change:
    return lambda inside, one, two: inside.execute(update(TRANSFER).where(TRANSFER.c.id == one).values(**values))


def _retold(old: str, new: str) -> Change:
    def change(inside: Connection, one: str, two: str) -> None:
        told = inside.scalar(select(EVENT.c.event).where(EVENT.c.transfer == one))
        assert told is not None and old in told
        inside.execute(update(EVENT).where(EVENT.c.transfer == one).values(event=told.replace(old, new)))

    return change


def _other_body(part: str) -> Change:
    def change(inside: Connection, one: str, two: str) -> None:
        other = inside.execute(select(VAULT).where(VAULT.c.id == f"{two}/{part}")).one()
        body = {"key_id": other.key_id, "size": other.size, "sealed": other.sealed}
        inside.execute(update(VAULT).where(VAULT.c.id == f"{one}/{part}").values(**body))

    return change


def _all_but_the_seal(inside: Connection, one: str, two: str) -> None:
    """Row, event and log all say that it was refused; the leaf is made to fit."""
    where = (LOG.c.transfer == one) & (LOG.c.phase == "outcome")
    entry = json.loads(bytes(inside.execute(select(LOG.c.entry).where(where)).scalar_one()))
    raw = json.dumps(entry | {"failure": "provider.refused"}, separators=(",", ":"), sort_keys=True).encode()
    inside.execute(update(LOG).where(where).values(entry=raw, leaf=leaf_hash(raw)))
    _row(state="failed", failure="provider.refused")(inside, one, two)
    _retold(":handled", ":refused")(inside, one, two)


CHANGES: Mapping[str, Change] = {
    "the agency in the event": _retold("H14.5", "H14.2"),
    "its type": _retold(":handled", ":refused"),
    "its subject": _retold('"subject":"', '"subject":"x'),
    "the type of a submission": _retold(":handled", ""),
    "another request": _other_body("canonical"),
    "another answer": _other_body("answer"),
    "another event": _other_body("event"),
    "row, event and outcome": _all_but_the_seal,
}


@pytest.mark.attack("feeds and repeats: rows changed with the database alone")
def test_what_was_changed_is_not_shown(place: Place) -> None:
    one, two = place.dispatch("m-1"), place.dispatch("m-2")
    assert all("data" in each for each in place.events()) and place.verified() == ()
    for name, change in CHANGES.items():
        with place.gateway.engine.connect() as inside:  # never committed
            change(inside, one, two)
            changed, sound = read(inside, FEED, None, 9, vault=place.gateway.vault).events
        told = (changed["id"], changed.get("tombstonereason"), changed["type"])
        assert told == (one, "tampered", "lgsp:tampered"), name
        assert "data" not in changed and sound["data"]["answer"], name


def _added(state: str, offset: int) -> Change:
    def change(inside: Connection, one: str, two: str) -> None:
        event = inside.execute(select(EVENT)).one()._asdict()
        transfer = inside.scalar(select(TRANSFER.c.id).where(TRANSFER.c.state == state, TRANSFER.c.id != one))
        inside.execute(insert(EVENT).values(event | {"offset": offset, "transfer": transfer}))

    return change


def _without_subject(inside: Connection, one: str, two: str) -> None:
    told = inside.scalar(select(EVENT.c.event).where(EVENT.c.transfer == one))
    event = {name: value for name, value in json.loads(str(told)).items() if name != "subject"}
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    inside.execute(update(EVENT).where(EVENT.c.transfer == one).values(event=text))


AGAINST_THE_LOG: Mapping[str, tuple[Change, str]] = {
    "taken out": (
        lambda inside, one, two: inside.execute(delete(EVENT)),
        "(answered): it has ended, and its event stands in no feed",
    ),
    "another text": (_retold("H14.5", "H14.2"), "(answered): its event in the feed is not the one of its end"),
    "another subject": (
        _retold('"subject":"', '"subject":"x'),
        "its event in the feed is not the one that its message was sealed with",
    ),
    "no subject": (_without_subject, "(answered): its event in the feed is not the one of its end"),
    "another feed": (
        lambda inside, one, two: inside.execute(update(EVENT).values(contract="official-document/v1")),
        "no transfer of that contract was accepted under this id",
    ),
    "of a waiting one": (_added("queued", 2), "it has an event in a feed, which its contract does not give it"),
    "no seal": (
        lambda inside, one, two: inside.execute(delete(VAULT).where(VAULT.c.id == f"{one}/event")),
        "(answered): its contract keeps its event, and the vault has none",
    ),
    "another time of sequencing": (
        lambda inside, one, two: inside.execute(update(EVENT).values(sequenced=NOW + 7200)),
        "its time of sequencing is +7199 s from that of its outcome",
    ),
}


@pytest.mark.attack("feeds and repeats: rows changed with the database alone")
def test_events_and_ends_agree_or_verify_says_so(place: Place) -> None:
    one = place.dispatch("m-1")
    two = place.dispatch("m-2", resting=True)
    place.sequence()
    assert place.verified() == ()
    for name, (change, expected) in AGAINST_THE_LOG.items():
        with place.gateway.engine.connect() as inside:  # never committed
            change(inside, one, two)
            wrong = check_complete(inside, hash_id=str).wrong
        assert any(expected in each for each in wrong), (name, wrong)


def test_two_that_end_one_transfer_write_one_event(place: Place) -> None:
    """The keeper took the transfer meanwhile: the unit of the door is refused with its event."""

    class Taken:
        def is_open(self, system: str) -> bool:
            return False

        async def forward(self, committed: Any, seconds: float) -> Any:
            with writing(place.gateway.engine) as inside:
                inside.execute(update(TRANSFER).where(TRANSFER.c.id == committed.open.id).values(process="keeper-1"))
            raise PROVIDER_REFUSED(acted=Acted.NO, system="do-thi", status=422, final=True)

    place.gateway.forwarder = Taken()
    refused = asyncio.run(place.gateway.carry(Call(FEED, OPERATION, "m-9")))
    assert isinstance(refused, Refused) and refused.failure.code == "journal.fenced"
    assert place.events() == []


def test_the_end_tells_how_complete_the_request_was_and_which_rules_the_answer_broke(place: Place) -> None:
    place.dispatch("m-1")
    findings = [Finding("body", "", "nothing", rule, "text") for rule in ("required", "code", "required", "x y")]
    place.dispatch(
        "m-2", failure=PROVIDER_REFUSED(acted=Acted.NO, system="do-thi", status=422, final=True, findings=findings)
    )
    first, second = place.events()
    assert first["lgspcompleteness"].partition("/")[0] == str(
        sum(not isinstance(each, dict) or "absent" not in each for each in first["data"]["request"].values())
    )
    assert (first["lgspage"], first["lgspfailedrules"]) == ("unknown", "none")
    assert second["lgspcompleteness"] == first["lgspcompleteness"]
    assert second["lgspfailedrules"] == "code invalid required"
    assert place.verified() == ()
    assert failed_rules("delivery.discarded", None) == "unknown", "a person ended it"


def test_an_event_of_an_earlier_release_says_unknown(place: Place) -> None:
    place.dispatch("m-1")
    place.sequence()
    with writing(place.gateway.engine) as connection:
        for id, text in connection.execute(select(EVENT.c.transfer, EVENT.c.event)).all():
            old = {name: value for name, value in json.loads(text).items() if name not in NEW}
            bare = json.dumps(old, ensure_ascii=False, separators=(",", ":"))
            row = place.gateway.vault.seal(id, "event", bare.encode(), NOW, bound=binding.of_event(FEED, bare))
            connection.execute(update(VAULT).where(VAULT.c.id == row.id).values(row._asdict()))
            connection.execute(update(EVENT).where(EVENT.c.transfer == id).values(event=bare))
    (event,) = place.events()
    assert {event[name] for name in NEW} == {"unknown"}

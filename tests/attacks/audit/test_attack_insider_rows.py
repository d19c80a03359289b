"""An insider with the database changes one value of a real instance: what decides content, receiver or time is held
against the log and the vault."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, update

from gateway.audit.verify.complete import check_complete
from gateway.feeds import read, read_raw
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.stages import Answered, Refused
from security.transparency.merkle import leaf_hash
from tests.attacks.audit import insider
from tests.exchange.house import Gateway, house, operation_of
from tests.journal import databases

EXCHANGED = pytest.mark.attack("feeds and repeats: rows changed with the database alone")
ROWS = pytest.mark.attack("audit log: rows that the log does not account for")
ALERTS, STATUS, REPORTS = "incident-alert/v1", "dossier-status/v1", "field-report/v1"
TRANSFER, EVENT, QUEUE, VAULT = tables.transfer, tables.feed_event, tables.queue, tables.vault
SUBMIT, QUERY, DISPATCH = (
    operation_of(*each) for each in ((ALERTS, "submit"), (STATUS, "query"), (REPORTS, "dispatch"))
)


@dataclass
class Scene:
    """A house through which transfers of each kind went, with a sequenced log."""

    gateway: Gateway
    log: insider.Gateway
    ids: dict[str, str]

    def again(self, name: str) -> Answered | Refused:
        contract, operation = {"a": (ALERTS, SUBMIT), "q": (STATUS, QUERY), "d": (REPORTS, DISPATCH)}[name[0]]
        return self.gateway.call("full", contract, operation, name, resting=name == "d-waiting")


def played(gateway: Gateway, folder: Path) -> Scene:
    scene = Scene(gateway, insider.Gateway.found(gateway.engine, folder), {})
    for name in ("a-1", "a-2", "q-1", "q-2", "d-1", "d-waiting", "", "a-pending"):
        if not name:
            scene.log.sequence()
            continue
        carried = scene.again(name)
        assert isinstance(carried, Answered) and carried.failure is None
        scene.ids[name] = carried.receipt.transfer
    return scene


@pytest.fixture
def scene(database: Engine, tmp_path: Path) -> Iterator[Scene]:
    with house(database, tmp_path) as gateway:
        yield played(gateway, tmp_path)


@pytest.fixture(scope="module", params=databases.KINDS)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Nobody commits a change to this one, and its processes have ended."""
    folder = tmp_path_factory.mktemp("kept")
    engine = databases.migrated(request.param, folder)
    with house(engine, folder) as gateway:
        scene = played(gateway, folder)
    with engine.connect() as connection:
        assert check_complete(connection).wrong == ()
    yield scene
    engine.dispose()


# --- verify: each value, and what is said of it -----------------------------------------------------------------------
@dataclass(frozen=True)
class Change:
    table: Any
    name: str  # of the transfer that is changed
    values: dict[str, Any]  # OTHER stands for the id of another transfer of its kind
    finding: str
    part: str = ""

    def make(self, connection: Connection, ids: dict[str, str]) -> None:
        transfer, other = ids[self.name], ids["a-2" if self.name[0] == "a" else "q-2" if self.name[0] == "q" else "d-1"]
        key = {"transfer": "id", "vault": "id"}.get(self.table.name, "transfer")
        id = f"{transfer}/{self.part}" if self.table is VAULT else transfer
        values = {
            name: value.replace("OTHER", other) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        row = connection.execute(select(self.table).where(self.table.c[key] == id)).one()
        values = {name: value(getattr(row, name)) if callable(value) else value for name, value in values.items()}
        assert connection.execute(update(self.table).where(self.table.c[key] == id).values(values)).rowcount == 1


def later(seconds: float) -> Callable[[float], float]:
    return lambda at: at + seconds


def said(**changes: str) -> Callable[[str], str]:
    return lambda event: json.dumps(json.loads(event) | changes, ensure_ascii=False, separators=(",", ":"))


SEALED_WITH = "is not what its request was sealed with"
CHANGES = [
    Change(TRANSFER, "q-1", {"provider": "do-thi"}, "its row says provider do-thi"),
    Change(TRANSFER, "d-waiting", {"contract": ALERTS}, f"its row says contract {ALERTS}"),
    Change(TRANSFER, "q-1", {"operation": "other"}, "its row says operation other"),
    Change(TRANSFER, "q-1", {"bundle": "sha256:00"}, "its row says bundle sha256:00"),
    Change(TRANSFER, "q-1", {"caller_agency": "H14.9"}, "its row says caller H14.9/"),
    Change(TRANSFER, "q-1", {"caller_system": "truong-ha"}, "its row says caller"),
    Change(TRANSFER, "q-1", {"grant_id": "G-0099"}, "its row says grant G-0099"),
    Change(
        TRANSFER, "q-1", {"pattern": "dispatch"}, "its row says that it is a dispatch, its contract that it is a query"
    ),
    Change(TRANSFER, "d-1", {"idempotent": False}, "its row says idempotent False, its contract True"),
    Change(TRANSFER, "q-1", {"message_id": "q-9"}, SEALED_WITH),
    Change(TRANSFER, "q-1", {"payload_digest": b"e" * 32}, SEALED_WITH),
    Change(TRANSFER, "q-1", {"received": later(-0.25)}, "its row says that it was received at"),
    Change(TRANSFER, "q-1", {"received": later(0.0001)}, SEALED_WITH),
    Change(TRANSFER, "q-1", {"committed": later(3600)}, "its row says that it was committed at"),
    Change(TRANSFER, "q-1", {"finished": later(-1)}, "its row says that it was finished at"),
    Change(TRANSFER, "d-waiting", {"finished": 1.0}, "and the log has no outcome of it"),
    Change(TRANSFER, "q-1", {"answer_ref": "OTHER/answer"}, "for its answer, which is"),
    Change(TRANSFER, "q-1", {"answer_ref": None}, "its row refers to None for its answer"),
    Change(TRANSFER, "q-1", {"status": 404}, "its row says status 404"),
    Change(TRANSFER, "q-1", {"failure": "provider.refused"}, "its row says failure provider.refused"),
    Change(TRANSFER, "q-1", {"state": "failed"}, "by its entries in the log it is answered"),
    Change(TRANSFER, "q-1", {"receipt": "{}"}, "its receipt lacks the leaf of its outcome"),
    Change(
        TRANSFER,
        "d-waiting",
        {"failure": "provider.refused"},
        "it has not ended, and its row says failure provider.refused",
    ),
    Change(TRANSFER, "d-waiting", {"receipt": "{}"}, "it has not ended, and its row has a receipt"),
    Change(QUEUE, "d-waiting", {"provider": "do-thi-2"}, "the queue says that it is for do-thi-2"),
    Change(QUEUE, "d-waiting", {"body_ref": "OTHER/canonical"}, "the queue refers to"),
    Change(QUEUE, "d-waiting", {"next_at": later(30 * 86_400)}, "which no message waits for"),
    Change(QUEUE, "d-waiting", {"state": "dead"}, "it stands in the queue as dead"),
    Change(QUEUE, "d-waiting", {"state": "held"}, "the queue holds it for a person"),
    Change(EVENT, "a-1", {"body_ref": "OTHER/canonical"}, "its event in the feed refers to"),
    Change(tables.feed_pending, "a-pending", {"body_ref": "OTHER/canonical"}, "its event in the feed refers to"),
    Change(
        tables.feed_pending,
        "a-pending",
        {"event": said(lgspagency="H14.9")},
        "its event in the feed says lgspagency H14.9",
    ),
    Change(EVENT, "a-1", {"event": said(lgspagency="H14.9")}, "its event in the feed says lgspagency H14.9"),
    Change(EVENT, "a-1", {"event": said(source="urn:lgsp:system:y-te")}, "its event in the feed says source"),
    Change(EVENT, "a-1", {"event": said(id="another")}, "its event in the feed says id another"),
    Change(EVENT, "a-1", {"event": said(type="urn:x:other")}, "its event in the feed says type urn:x:other"),
    Change(EVENT, "a-1", {"event": said(time="2026-11-24T06:59:00.000Z")}, "its event in the feed says time"),
    Change(EVENT, "a-1", {"event": said(subject="another")}, "is not the one that its message was sealed with"),
    Change(EVENT, "a-1", {"event": said(lgspformat="other")}, "is not the one that its message was sealed with"),
    Change(VAULT, "q-1", {"id": "moved"}, "its contract keeps its answer, and the vault has none", "answer"),
    Change(VAULT, "q-1", {"id": "moved"}, "its contract keeps its request, and the vault has none", "request"),
    Change(VAULT, "q-1", {"id": "moved"}, "its contract keeps its forwarded, and the vault has none", "forwarded"),
    Change(
        VAULT,
        "q-1",
        {"id": "moved"},
        "its contract keeps its provider-answer, and the vault has none",
        "provider-answer",
    ),
    Change(VAULT, "a-1", {"id": "moved"}, "its contract keeps its canonical, and the vault has none", "canonical"),
    Change(VAULT, "q-1", {"sealed": b""}, "is gone from the vault, and its key", "answer"),
    Change(VAULT, "q-1", {"key_id": "2026-11-25.m24"}, "which is of another day or class", "request"),
    Change(
        VAULT, "q-1", {"key_id": lambda key: key.replace(".m", ".m9")}, "which is of another day or class", "answer"
    ),
    Change(VAULT, "q-1", {"size": lambda size: size + 1}, "the vault says that its answer has", "answer"),
    Change(
        VAULT,
        "q-1",
        {"sealed": lambda sealed: sealed[:1] + bytes(32) + sealed[33:]},
        "its answer was sealed with another outcome",
        "answer",
    ),
    Change(VAULT, "q-1", {"sealed": lambda sealed: sealed[:1] + bytes(32) + sealed[33:]}, SEALED_WITH, "request"),
]


@ROWS
@pytest.mark.parametrize(
    "change", CHANGES, ids=lambda each: f"{each.table.name}.{'+'.join(each.values)} of {each.name} {each.part}".strip()
)
def test_verify_names_what_was_changed(kept: Scene, change: Change) -> None:
    with kept.gateway.engine.connect() as connection:
        begun = connection.begin()
        change.make(connection, kept.ids)
        wrong = check_complete(connection).wrong
        begun.rollback()
    assert any(change.finding in one and kept.ids[change.name] in one for one in wrong), wrong


# --- feeds: never another's body --------------------------------------------------------------------------------------
def exchange_refs(connection: Connection, ids: dict[str, str]) -> None:
    for first, second in (("a-1", "a-2"), ("a-2", "a-1")):
        connection.execute(
            update(EVENT).where(EVENT.c.transfer == ids[first]).values(body_ref=f"{ids[second]}/canonical")
        )


def exchange_sealed(connection: Connection, ids: dict[str, str]) -> None:
    found = dict(connection.execute(select(VAULT.c.id, VAULT.c.sealed).where(VAULT.c.id.like("%/canonical"))).all())
    for first, second in (("a-1", "a-2"), ("a-2", "a-1")):
        values = {"sealed": found[f"{ids[second]}/canonical"]}
        connection.execute(update(VAULT).where(VAULT.c.id == f"{ids[first]}/canonical").values(values))


def retell(connection: Connection, ids: dict[str, str]) -> None:
    for name in ("a-1", "a-2"):
        Change(EVENT, name, {"event": said(lgspagency="H14.9")}, "").make(connection, ids)


def another_feed(connection: Connection, ids: dict[str, str]) -> None:
    """Two events of one contract as if they were of another, whose readers are others."""
    connection.execute(
        update(EVENT).where(EVENT.c.transfer.in_([ids["a-1"], ids["a-2"]])).values(contract="indicator/v1")
    )


FEEDS = {"references": exchange_refs, "sealed bodies": exchange_sealed, "attributes": retell, "the feed": another_feed}


@EXCHANGED
@pytest.mark.parametrize("how", FEEDS)
def test_an_event_that_was_changed_is_a_tombstone(scene: Scene, how: str, caplog: pytest.LogCaptureFixture) -> None:
    feed = "indicator/v1" if how == "the feed" else ALERTS
    with writing(scene.gateway.engine) as connection:
        FEEDS[how](connection, scene.ids)
    with scene.gateway.engine.connect() as connection, caplog.at_level(logging.CRITICAL, "lgsp.feeds"):
        page = read(connection, feed, None, 10, vault=scene.gateway.vault)
        raw = read_raw(connection, feed, None, 10, vault=scene.gateway.vault)
    assert [json.loads(event) for event in raw.events] == list(page.events) and len(page.events) == 2
    for event in page.events:
        assert event["tombstone"] is True and event["tombstonereason"] == "tampered"
        assert set(event) == {
            "specversion",
            "id",
            "source",
            "type",
            "sequence",
            "sequencedtime",
            "tombstone",
            "tombstonereason",
        }
    assert page.span is not None and page.span == raw.span and page.span.tampered == (1, 2)
    assert sum(record.levelno == logging.CRITICAL for record in caplog.records) == 4


# --- repeats: the transfer's own answer, or none ----------------------------------------------------------------------
def forged_outcome(connection: Connection, ids: dict[str, str]) -> None:
    """Another outcome in the place of the true one, with the leaf that its bytes have, and a receipt that names it."""
    entry = tables.log_entry
    row = connection.execute(select(entry).where(entry.c.transfer == ids["q-1"], entry.c.phase == "outcome")).one()
    raw = bytes(row.entry).replace(b'"size":', b'"size":1')
    leaf = leaf_hash(raw)
    connection.execute(update(entry).where(entry.c.idx == row.idx).values(entry=raw, leaf=leaf))
    receipt = json.loads(connection.execute(select(TRANSFER.c.receipt).where(TRANSFER.c.id == ids["q-1"])).scalar_one())
    receipt["outcome"] = base64.b64encode(leaf).decode()
    connection.execute(update(TRANSFER).where(TRANSFER.c.id == ids["q-1"]).values(receipt=json.dumps(receipt)))


def as_another(connection: Connection, ids: dict[str, str]) -> None:
    """The second's row bears the first's message: a repeat of the first finds the second's answer."""
    for name, message in (("q-1", "aside"), ("q-2", "q-1")):
        connection.execute(update(TRANSFER).where(TRANSFER.c.id == ids[name]).values(message_id=message))


def of_row(**values: Any) -> Callable[[Connection, dict[str, str]], None]:
    return Change(TRANSFER, "q-1", values, "").make


REPEATS: dict[str, Callable[[Connection, dict[str, str]], None]] = {
    "answer_ref": of_row(answer_ref="OTHER/answer"),
    "answer_ref taken away": of_row(answer_ref=None),
    "state": of_row(state="failed", failure="provider.refused", status=422),
    "state, under way": of_row(state="queued"),
    "status": of_row(status=500),
    "failure": of_row(failure="provider.refused"),
    "receipt": of_row(receipt=None),
    "payload_digest": of_row(payload_digest=b"e" * 32),
    "grant_id": of_row(grant_id="G-0099"),
    "caller_agency": of_row(caller_agency="H14.9"),
    "provider": of_row(provider="do-thi"),
    "the outcome's entry": forged_outcome,
    "message_id": as_another,
    "the answer's body": Change(
        VAULT, "q-1", {"sealed": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])}, "", "answer"
    ).make,
}


@EXCHANGED
@pytest.mark.parametrize("what", REPEATS)
def test_a_repeat_of_a_transfer_that_was_changed_is_not_answered(
    scene: Scene, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(scene.again("q-1"), Answered), "as it stands"
    with writing(scene.gateway.engine) as connection:
        REPEATS[what](connection, scene.ids)
    with caplog.at_level(logging.CRITICAL, "lgsp.exchange"):
        refused = scene.again("q-1")
    code = "vault.broken" if what == "the answer's body" else "transfer.tampered"
    assert isinstance(refused, Refused) and refused.failure.code == code
    assert code == "vault.broken" or any(record.levelno == logging.CRITICAL for record in caplog.records)
    table = tables.log_pending.c
    with scene.gateway.engine.connect() as connection:
        entries = [json.loads(each) for each in connection.scalars(select(table.entry).where(table.phase == "refusal"))]
    assert [each["failure"] for each in entries] == [code], "the log has it"


@EXCHANGED
def test_what_waits_and_what_failed_is_repeated_as_it_stands(scene: Scene) -> None:
    for name in ("a-1", "d-1", "d-waiting"):
        again = scene.again(name)
        assert (
            isinstance(again, Answered)
            and again.receipt.transfer == scene.ids[name]
            and again.queued == (name == "d-waiting")
        )

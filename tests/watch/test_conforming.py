"""Traffic that no longer conforms raises an alarm of its system, with the rule, and is over a day later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from contracts.base.ids import new_id
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.watch.alarms import Condition
from gateway.watch.conforming import EVERY, LEAST, WINDOW, Conforming
from tests.journal.databases import KINDS, migrated
from tests.registry.making import filled, province
from tests.watch.test_probes import NOON


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = migrated(request.param, tmp_path_factory.mktemp("conforming"))
    filled(engine, province(), [], NOON)
    with writing(engine) as connection:
        for number in range(LEAST):
            answered(connection, "do-thi", "provider.bad-answer", number)
            answered(connection, "kinh-te", "provider.timeout", number)
            refused(connection, "phan-anh", "signature.expired" if number else "message.invalid", number)
            refused(connection, "mot-cua", "message.in-progress", number)
            refused(connection, "khi-tuong", "access.no-grant", number)
        refused(connection, "y-te", "message.invalid", 1)
        run = jobs.add(connection, "conformance", "do-thi", ("H14.0/lan", ""), NOON)
        jobs.change(connection, run, NOON, jobs.DONE, certificate="c-1")
    yield engine
    engine.dispose()


def id_of(number: int) -> str:
    return new_id(int((NOON - 60 - number) * 1000))


def answered(connection: Any, provider: str, failure: str, number: int) -> None:
    values = {
        "id": id_of(number), "state": "failed", "pattern": "query", "caller_system": "phan-anh",
        "caller_agency": "H14.5", "contract": "x/v1", "bundle": "b", "operation": "ask", "message_id": id_of(number),
        "payload_digest": b"d", "grant_id": "G", "provider": provider, "idempotent": True, "received": NOON,
        "committed": NOON,
        "failure": failure,
    }  # fmt: skip
    connection.execute(insert(tables.transfer).values(values))


def refused(connection: Any, system: str, code: str, number: int) -> None:
    finding = {"here": "a", "canonical": "b", "rule": "required"}
    entry: dict[str, Any] = {"kind": "refusal", "failure": code, "caller": {"system": system}}
    entry |= {"findings": [finding]} if code == "message.invalid" else {}
    values = {"transfer": id_of(number), "phase": "refusal", "entry": json.dumps(entry).encode(), "leaf": b"l"}
    connection.execute(insert(tables.log_pending).values(values))


@pytest.fixture
def snapshot(engine: Engine) -> Snapshot:
    with engine.connect() as connection:
        return load_snapshot(connection)


def look(engine: Engine, conforming: Conforming, snapshot: Snapshot, now: float) -> dict[str, Condition]:
    with engine.connect() as connection:
        return {each.system: each for each in conforming.look(connection, snapshot, now)}


def test_who_no_longer_conforms_is_named_with_the_rule(engine: Engine, snapshot: Snapshot) -> None:
    conforming = Conforming()
    found = look(engine, conforming, snapshot, NOON)
    assert set(found) == {"do-thi", "phan-anh"}, "time-outs, quotas, grants and a single slip are no such thing"
    assert found["do-thi"].facts == {"number": LEAST, "rule": "provider.bad-answer", "certificate": "c-1"}
    assert found["phan-anh"].facts == {"number": LEAST, "rule": "signature.expired"}
    assert NOON - 70 < found["phan-anh"].since < NOON
    again = look(engine, conforming, snapshot, NOON + 1)
    assert again == found == look(engine, conforming, snapshot, NOON + EVERY), "a call is counted once"
    assert look(engine, conforming, snapshot, NOON + WINDOW) == {}


def test_the_field_of_a_message_is_part_of_the_rule(engine: Engine, snapshot: Snapshot) -> None:
    conforming = Conforming()
    with writing(engine) as connection:
        for number in range(20, 20 + LEAST):
            refused(connection, "mot-cua", "message.invalid", number)
    facts = look(engine, conforming, snapshot, NOON)["mot-cua"].facts
    assert facts == {"number": LEAST, "rule": "message.invalid (b: required)"}

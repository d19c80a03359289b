"""Who receives without a grant to receive: nothing leaves, and the log names who was to get it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from contracts.base.errors import Failure
from contracts.codecs.mask import PERSONAL
from gateway.doctor.access import access
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.document import parse_grants
from gateway.registry.judging import judged
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from gateway.transfer.stages import Answered, Refused
from security.grants.grants import Grant, Reason
from tests.attacks.access.receiving import COMMUNE, COMMUNE_SYSTEM, CREATE, REPORT, Place, place
from tests.registry.editions import edition, swap
from tests.registry.making import House


@pytest.fixture
def at(tmp_path: Path, keys: House, sqlite: Engine) -> Iterator[Place]:
    with place(sqlite, tmp_path, keys) as made:
        yield made


RECEIVING = "G-0012"  # the Department of Construction receives field reports in its system `do-thi`
CITIZEN = ("nguoidan@example.vn", "Dũng", "Hoàng Văn")


def sent(at: Place) -> str:
    """The one message that left, as text."""
    ((system, body),) = at.wire.sent
    return f"{system} {body.decode()}"


@pytest.mark.attack("receiving without a grant")
def test_a_route_alone_makes_nobody_receive(at: Place) -> None:
    """A route of field reports to a ward, signed by two officers: the citizen's name and address stay here."""
    at.route(COMMUNE_SYSTEM)
    at.apply()
    entry = at.refused("route.not-granted")
    assert entry["provider"] == COMMUNE_SYSTEM and "nearest" not in entry


def test_who_holds_the_grant_receives_and_the_log_says_by_which(at: Place) -> None:
    at.route("do-thi")
    at.apply()
    told = at.call()
    assert isinstance(told, Answered) and all(each in sent(at) for each in CITIZEN)
    intent = at.entries(told.requested.received.transfer)["intent"]
    assert intent["provider"] == "do-thi" and intent["receiving"] == [RECEIVING] and "overdue" not in intent


@pytest.mark.attack("receiving without a grant")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"contract": "indicator/v1", "operations": ["getValue"]}, "no-contract"),
        ({"receives": False, "fields": ["*"]}, "no-grant"),
        ({"valid_until": date(2026, 2, 1)}, "expired"),
        ({"valid_from": date(2030, 1, 1)}, "not-yet-valid"),
        ({"agency": None, "role": "commune"}, "no-grant"),
        ({"purpose": "khác"}, "not-approved"),
        ({"denies": True}, "denied"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grant_that_is_not_one_to_receive_this(at: Place, change: dict[str, Any], why: str) -> None:
    at.route("do-thi")
    row = at.grant(RECEIVING)
    at.document["grants"].remove(at.grant("G-0038"))  # of documents: this row is all that the agency holds
    row.update(change)
    at.document["grants"][at.document["grants"].index(row)] = {k: v for k, v in row.items() if v is not None}
    at.apply(sign=why != "not-approved")
    entry = at.refused("route.not-granted")
    assert entry.get("nearest") == (None if why == "no-grant" else RECEIVING)
    decision = at.gateway.snapshot.decide_receiving("H14.3", REPORT, CREATE, at.gateway.now)
    assert decision.reason is Reason(why)


@pytest.mark.attack("receiving without a grant")
def test_suspending_a_grant_stops_what_it_lets_receive(at: Place) -> None:
    at.route("do-thi")
    at.apply()
    with writing(at.engine) as connection:
        store.set_state(connection, "grant", RECEIVING, active=False)
    at.reload()
    assert at.refused("route.not-granted")["nearest"] == RECEIVING


@pytest.mark.attack("receiving without a grant")
def test_a_system_takes_no_grant_to_another_agency(at: Place) -> None:
    """The system that receives is registered for another agency: the grant stays with the old one."""
    at.route("do-thi")
    at.system("do-thi")["agency"] = COMMUNE
    at.apply()
    assert at.refused("route.not-granted")["provider"] == "do-thi"


@pytest.mark.attack("receiving without a grant")
def test_a_grant_to_a_role_ends_with_the_role(at: Place) -> None:
    at.route("do-thi")
    row = at.grant(RECEIVING)
    del row["agency"]
    row["role"] = "department"
    at.apply(sign=True)
    assert isinstance(at.call(), Answered)
    agency = next(each for each in at.document["agencies"] if each["code"] == "H14.3")
    agency["roles"] = []
    at.apply()
    at.refused("route.not-granted")


@pytest.mark.attack("receiving without a grant")
def test_asking_gives_nothing_to_receive_and_receiving_nothing_to_ask(at: Place) -> None:
    """The agency that may send field reports receives none; the one that receives them sends none."""
    at.route("phan-anh")
    at.apply()
    at.refused("route.not-granted")
    decide = at.gateway.snapshot.decide
    assert not decide("H14.3", REPORT, CREATE, at.gateway.now).allowed
    assert decide("H14.3", REPORT, CREATE, at.gateway.now).reason is Reason.NO_CONTRACT


@pytest.mark.attack("receiving without a grant")
def test_nothing_is_put_aside_for_who_may_not_receive(at: Place) -> None:
    """The ward's system rests, so the message would wait in the queue."""
    at.route(COMMUNE_SYSTEM)
    at.apply()
    at.gateway.forwarder = None
    told = at.gateway.call("full", REPORT, CREATE, resting=True)
    assert isinstance(told, Refused) and told.failure.code == "route.not-granted"
    with at.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.queue)) == 0


def test_each_use_of_an_adopted_grant_that_nobody_confirmed_is_marked(at: Place) -> None:
    """What shows nothing personal goes on after 30 days."""
    asked = ("indicator/v1", "getValue")
    with writing(at.engine) as connection:
        body = granting.content_of(connection, "G-0014").content() | {"id": "adopted-1"}
        row = replace(Grant.from_json(body), valid_from=at.gateway.now)
        values = {"id": row.id, "body": row.canonical().decode(), "state": "active", "source": granting.ADOPTED}
        connection.execute(insert(tables.access_grant).values(values))
        granting.revoke(connection, "G-0014", at.gateway.now)
    at.reload()
    for number, (days, overdue) in enumerate([(29.9, None), (30, ["adopted-1"])]):
        at.gateway.now = row.valid_from + days * 86400
        told = at.call(*asked, f"m-{number}")
        assert isinstance(told, Answered)
        intent = at.entries(told.requested.received.transfer)["intent"]
        assert (intent["receiving"], intent.get("overdue")) == (["adopted-1"], overdue)


@pytest.mark.attack("receiving what a grant hides")
@pytest.mark.parametrize("system", ["do-thi", "truong-ha"])
@pytest.mark.parametrize("fields", [["*", "!email"], ["*", PERSONAL]], ids=["email", "personal"])
def test_hidden_fields_stay_here_in_every_format(at: Place, system: str, fields: list[str]) -> None:
    at.route(system)
    at.grant(RECEIVING if system == "do-thi" else "G-0013")["fields"] = fields
    at.apply(sign=True)
    assert isinstance(at.call(), Answered)
    gone = CITIZEN if PERSONAL in fields else CITIZEN[:1]
    assert not any(each in sent(at) for each in gone) and "Dãy đèn" in sent(at)
    assert ("BAO_MAT" if system == "do-thi" else '"email":{"absent":"not-permitted"}') in sent(at)


def unmarked() -> Any:
    """A version of the contract whose format for `do-thi` has no word for a hidden address."""
    others, hidden = "unknown: KHONG_RO, partial: MOT_PHAN, none: KHONG_CO", "not-permitted: BAO_MAT"
    return edition(
        "1.2.1",
        swap(
            "systems/do-thi-xml.yaml",
            f"dt:ThuDienTu, absent: {{{others}, {hidden}}}",
            f"dt:ThuDienTu, absent: {{{others}}}",
        ),
        contract="field-report",
    )


@pytest.mark.attack("receiving what a grant hides")
def test_a_format_that_cannot_show_the_mask_gets_nothing(at: Place, tmp_path: Path) -> None:
    """The grant was signed under an earlier version. The later one is refused at the door, by the document, and by the
    officers' command."""
    at.route("do-thi")
    at.grant(RECEIVING)["fields"] = ["*", "!email"]
    at.apply(sign=True)
    assert isinstance(at.call(), Answered)
    with writing(at.engine) as connection:
        store.publish_bundle(connection, unmarked())
    at.reload()
    entry = at.refused("route.mask-unshown", message_id="m-2")
    assert entry["provider"] == "do-thi"
    with at.engine.connect() as connection:
        found = {each.kind.code: each.facts for each in access(Settings(tmp_path), connection, at.gateway.now)}
    assert found["route.mask-unshown"]["routes"] == f"{REPORT} {CREATE} → do-thi (do-thi-xml)"
    snapshot = at.gateway.snapshot
    with pytest.raises(Failure, match=r"registry\.invalid") as refused:
        text = granting_file(at.grant(RECEIVING))
        parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
    (finding,) = refused.value.findings
    assert (finding.rule, finding.here) == ("mask", "grants[0].fields") and "do-thi-xml" in finding.got


def granting_file(row: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump({"grants": [row]}, allow_unicode=True)


def test_what_the_log_says_of_receiving_is_judged_by_the_registry_that_decided(at: Place) -> None:
    """An intent that names another grant, or a refusal of what was allowed, is not as the registry decides."""
    at.route("do-thi")
    at.apply()
    told, held = at.call(), at.gateway.snapshot
    assert isinstance(told, Answered)
    intent = at.entries(told.requested.received.transfer)["intent"]
    with writing(at.engine) as connection:
        store.set_state(connection, "grant", RECEIVING, active=False)
    at.reload()
    refusal = at.refused("route.not-granted", message_id="m-2")

    def agrees(entry: dict[str, Any], snapshot: Snapshot) -> bool | None:
        asked = judged(entry)
        assert asked is not None
        return asked.agrees(snapshot.decide(asked.agency, REPORT, CREATE, asked.at), snapshot)

    now = at.gateway.snapshot
    assert agrees(intent, held) and not agrees(intent, now) and agrees(refusal, now) and not agrees(refusal, held)
    assert not agrees(intent | {"receiving": ["G-0013"]}, held)
    assert not agrees(refusal | {"nearest": "G-0013"}, now)
    older = {name: value for name, value in intent.items() if name != "receiving"}
    assert agrees(older, now), "an entry of an older release says nothing of receiving"

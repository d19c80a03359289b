"""A reader learns from the type of an event what its grant hides: that an alert was recalled, or a value corrected."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.stages import Answered
from tests.doors.api.client import World, opened
from tests.exchange.house import Call, Gateway, sample
from tests.registry.making import PROVINCE, House, approve_all, contracts

ATTACK = pytest.mark.attack("access: by a feed")
ALERTS, VALUES, READINGS, REPORTS = "incident-alert/v1", "indicator/v1", "observation/v1", "field-report/v1"
KINDS = ("corrected", "recalled", "responded")
SENT = {
    ALERTS: ("submitAlert", "canh-bao"),
    VALUES: ("submitValues", "so-lieu"),
    READINGS: ("submitObservation", "canh-bao"),
    REPORTS: ("createRequest", "phan-anh"),
}
MORE = """
- {id: G-0901, agency: H14.2, contract: observation/v1, operations: [submitObservation], purpose: a, legal_basis: b,
   valid_from: 2026-01-01, valid_until: 2030-12-31}
- {id: G-0902, role: centre, contract: observation/v1, operations: [feed], fields: ["*"], purpose: a,
   legal_basis: b, valid_from: 2026-01-01, valid_until: 2030-12-31}
"""


def province() -> str:
    raw = yaml.safe_load(PROVINCE)
    raw["grants"] += yaml.safe_load(MORE)
    return yaml.safe_dump(raw, allow_unicode=True)


def regrant(world: World, contract: str, fields: list[str]) -> None:
    """The centre sees these fields of the feed. Past the proposal: it refuses to hide what the contract requires, and
    other contracts require less.
    """
    grant = tables.access_grant
    with writing(world.engine) as connection:
        for id, text in connection.execute(select(grant.c.id, grant.c.body)).all():
            body = json.loads(text)
            if (body["contract"], body["operations"]) == (contract, ["feed"]):
                changed = json.dumps(body | {"fields": fields})
                connection.execute(update(grant).where(grant.c.id == id).values(body=changed))
        approve_all(connection)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)


def alerts() -> list[dict[str, Any]]:
    """An alert, its correction, an answer to it, and its recall."""
    first = sample(contracts()[ALERTS], "Alert") | {"identifier": "A-1", "msgType": "Alert"}
    first.pop("references", None)
    named = ",".join((first["sender"], "A-1", str(first["sent"])))
    later = (("A-2", "Update"), ("A-3", "Ack"), ("A-4", "Cancel"))
    return [first, *(first | {"identifier": name, "msgType": kind, "references": named} for name, kind in later)]


def values() -> list[dict[str, Any]]:
    """A value, and another one under the same key."""
    one = sample(contracts()[VALUES], "IndicatorValue")
    return [{"values": [one]}, {"values": [one | {"value": one["value"] + 1}]}]


def readings() -> list[dict[str, Any]]:
    """A reading of one series, and another result for the same moment."""
    one = sample(contracts()[READINGS], "Observation") | {"Datastream": {"id": "TRAM-7.MUC-NUOC"}}
    return [one, one | {"result": one["result"] + 1}]


MESSAGES = {ALERTS: alerts, VALUES: values, READINGS: readings}


async def read(world: World, contract: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of these messages as the centre gets them."""
    operation, system = SENT[contract]
    registry = world.services.registry.snapshot
    gateway = Gateway(world.engine, world.journal, world.vault, registry, now=time.time())
    for number, message in enumerate(messages):
        answered = await gateway.carry(Call(contract, operation, f"m-{number}", message, system))
        assert isinstance(answered, Answered), answered
    world.sequence()
    page = await world.signed("dieu-hanh", f"/feeds/{contract}")
    assert page.status == 200, page.json
    events: list[dict[str, Any]] = page.json["events"]
    assert len(events) == len(messages)
    return events


@ATTACK
@pytest.mark.parametrize(
    ("contract", "fields", "told"),
    [
        (ALERTS, ["*"], ["", "corrected", "responded", "recalled"]),
        (ALERTS, ["*", "!note"], ["", "corrected", "responded", "recalled"]),
        (ALERTS, ["*", "!identifier"], ["", "corrected", "responded", "recalled"]),  # it follows from msgType alone
        (ALERTS, ["*", "!msgType"], ["", "", "", ""]),
        (ALERTS, ["info"], ["", "", "", ""]),
        (VALUES, ["*"], ["", "corrected"]),
        (VALUES, ["*", "!values[].responsible"], ["", "corrected"]),
        (VALUES, ["*", "!values[].period"], ["", ""]),
        (VALUES, ["*", "!values"], ["", ""]),
        (READINGS, ["*"], ["", "corrected"]),
        (READINGS, ["*", "!Datastream"], ["", ""]),
    ],
)
async def test_the_type_tells_no_more_than_the_fields_that_it_follows_from(
    tmp_path: Path, keys: House, contract: str, fields: list[str], told: list[str]
) -> None:
    async with opened(tmp_path, keys, province()) as world:
        regrant(world, contract, fields)
        events = await read(world, contract, MESSAGES[contract]())
        plain = f"{contracts()[contract].namespace}:{SENT[contract][0]}"
        assert [each["type"] for each in events] == [f"{plain}:{kind}".removesuffix(":") for kind in told]
        attributes = json.dumps(
            [{name: each[name] for name in each if name not in ("data", "type")} for each in events]
        )
        assert not any(kind in attributes for kind in KINDS)
        assert ["lgspreplaces" in each for each in events] == [kind in ("corrected", "recalled") for kind in told]


@ATTACK
@pytest.mark.parametrize(("fields", "seen"), [(["*"], True), (["*", "!service_request_id"], False)])
async def test_the_subject_of_a_dispatched_message_is_told_to_whom_the_answer_shows_it(
    tmp_path: Path, keys: House, fields: list[str], seen: bool
) -> None:
    case = sample(contracts()[REPORTS], "ServiceRequestReceived")["service_request_id"]
    async with opened(tmp_path, keys) as world:
        regrant(world, REPORTS, fields)
        (event,) = await read(world, REPORTS, [sample(contracts()[REPORTS], "ServiceRequest")])
        assert event.get("subject") == (case if seen else None)
        assert (case in json.dumps(event)) is seen

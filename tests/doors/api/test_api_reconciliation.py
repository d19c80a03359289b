"""`POST /audit/reconciliation` through a real door: one's own counts only, signed both ways, and the comparison
logged."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.audit.search.search import reading
from gateway.doors.api import reconciliation
from gateway.doors.api.reconciliation import Unhurried
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.write import LogRow
from security.grants.windows import VIETNAM
from security.http_signatures import HttpRequest, sign_request, verify_response
from security.transparency import entry as form
from tests.doors.api.client import BASE, Answer, World, ask

PATH = "/audit/reconciliation"
COUNT = {"system": "canh-bao", "contract": "incident-alert/v1", "operation": "submitAlert", "direction": "sent"}


def midnight(days: int = 0) -> datetime:
    """That of today, or `days` before; asked anew, since midnight may pass while tests run."""
    today = datetime.fromtimestamp(time.time(), VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


def said(*counts: dict[str, Any], day: str | None = None, **more: Any) -> dict[str, Any]:
    return {"day": midnight(1).date().isoformat() if day is None else day, "counts": list(counts), **more}


async def post(
    world: World, system: str, body: Any, *, headers: dict[str, str] | None = None, signer: str | None = None
) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {
        "authorization": f"Bearer {await world.bearer(system)}",
        "accept-language": "en",
        "content-type": "application/json",
        **(headers or {}),
    }
    request = HttpRequest("POST", BASE + PATH, named, raw)
    named |= sign_request(
        request, world.identities[signer or system].sign, time.time(), nonce=secrets.token_urlsafe(18)
    )
    answer = await ask(world.app, "POST", PATH, named, raw, certificate=world.identities[system].tls_der)
    if answer.status == 200:
        verify_response(answer.status, answer.headers, answer.body, named, world.gateway.sign.verify_key(), time.time())
    return answer


def exchanged(transfer: str, at: float, message: str) -> tuple[form.FrozenEntry, form.FrozenEntry]:
    """Intent and outcome of an alert of canh-bao."""
    intent = form.Intent(
        transfer=transfer,
        at=at,
        door="rest",
        caller=form.Caller("H14.2", "canh-bao"),
        contract="incident-alert/v1",
        operation="submitAlert",
        bundle="sha256:0",
        message=message,
        grant="G-0001",
        provider=None,
        came_in=form.Digest(bytes(32), 9),
    )
    return form.freeze(intent), form.freeze(form.Outcome(transfer, at, 200))


@pytest.fixture
def yesterday(world: World) -> World:
    """Three alerts of canh-bao, sequenced."""
    rows: list[form.FrozenEntry] = []
    for number in range(3):
        at = midnight(1).timestamp() + 3600 * (number + 1)
        rows += exchanged(new_id(int(at * 1000)), at, f"m-{number}")
    with writing(world.engine) as connection:
        append(connection, [LogRow(*row) for row in rows])
    world.sequence()
    return world


async def test_its_numbers_in_differences_out(yesterday: World) -> None:
    world = yesterday
    answer = await post(world, "canh-bao", said({**COUNT, "accepted": 3}, agency="H14.2"))
    assert answer.status == 200, answer.body
    assert answer.json["differences"] == 0 and answer.json["lines"][0]["verdict"] == "equal"
    answer = await post(world, "canh-bao", said({**COUNT, "messages": ["m-0", "m-2", "m-9"]}))
    (line,) = answer.json["lines"]
    assert answer.json["differences"] == 1 and line["not_here"] == [{"message": "m-9", "reason": "unknown"}]
    assert len(line["not_there"]) == 1 and line["difference"] == 0
    noted = world.logged("reconciliation")
    assert [each["facts"] for each in noted] == [
        {"agency": "H14.2", "day": midnight(1).date().isoformat(), "lines": 1, "theirs": 3, "ours": 3, "equal": 1},
        {"agency": "H14.2", "day": midnight(1).date().isoformat(), "lines": 1, "theirs": 3, "ours": 3, "differs": 1},
    ]
    assert noted[0]["actor"] == "H14.2/canh-bao" and "m-9" not in json.dumps(noted)


FOREIGN = [
    said({**COUNT, "accepted": 3}),
    said({**COUNT, "accepted": 3}, agency="H14.2"),
    said({**COUNT, "system": "thuc-phan", "accepted": 0}, agency="H14.2"),
    said({**COUNT, "system": "thuc-phan", "accepted": 0}, {**COUNT, "messages": ["m-0"]}),
    said({**COUNT, "system": "no-such", "accepted": 0}),
]


async def test_another_agencys_numbers_are_refused(yesterday: World) -> None:
    for body in FOREIGN:
        answer = await post(yesterday, "thuc-phan", body)
        assert answer.status == 403 and answer.json["code"] == "reconciliation.not-yours", answer.body
        assert "lines" not in answer.json and "signature" in answer.headers
    assert yesterday.logged("reconciliation") == []
    assert [each["failure"] for each in yesterday.logged("refusal")] == ["reconciliation.not-yours"] * len(FOREIGN)


async def test_a_foreign_signature_and_a_repeated_one(yesterday: World) -> None:
    answer = await post(yesterday, "thuc-phan", said(), signer="canh-bao")
    assert answer.status == 403 and answer.json["code"] == "channel.mismatch"
    headers = await yesterday.signed_headers("canh-bao", "POST", PATH)  # over no body
    raw = json.dumps(said({**COUNT, "accepted": 3})).encode()
    unsigned = await ask(
        yesterday.app,
        "POST",
        PATH,
        headers | {"content-type": "application/json"},
        raw,
        certificate=yesterday.identities["canh-bao"].tls_der,
    )
    assert unsigned.status in (400, 401) and yesterday.logged("reconciliation") == []


def unclear() -> list[tuple[Any, str]]:
    return [
        (said({**COUNT, "accepted": 3}, day=midnight().date().isoformat()), "reconciliation.day-open"),
        (said({**COUNT, "accepted": 3}, day="9999-12-31"), "reconciliation.day-open"),
        (said({**COUNT, "accepted": 3}, day="2026-02-31"), "reconciliation.invalid"),
        (said({**COUNT, "accepted": 2, "messages": ["a"]}), "reconciliation.invalid"),
        (said({**COUNT, "accepted": "3"}), "api.invalid"),
        (said({**COUNT, "accepted": 1.5}), "api.invalid"),
        (said({**COUNT, "direction": "up"}), "api.invalid"),
        (said(more=1), "api.invalid"),
        ([], "api.invalid"),
        (b"{", "message.not-json"),
        (b'{"day": "2026-11-24", "day": "2026-11-25", "counts": []}', "message.not-json"),
        (b"", "message.not-json"),
    ]


MEDIA = ("text/plain", "application/x-www-form-urlencoded", "Application/JSON; x=y", "application/*")


async def test_a_statement_that_is_none(world: World) -> None:
    for body, code in unclear():
        answer = await post(world, "canh-bao", body)
        assert (answer.status, answer.json["code"]) == (400, code), answer.body
    for media in MEDIA:
        answer = await post(world, "canh-bao", said({**COUNT, "accepted": True}), headers={"content-type": media})
        assert answer.status in (400, 415) and answer.json["code"] in (
            "body.media-type",
            "api.invalid",
            "reconciliation.invalid",
        ), media
    assert world.logged("reconciliation") == []


async def test_a_long_list_fits_and_a_longer_one_is_told(world: World) -> None:
    """The instance's own limit is 20,000 bytes here."""
    answer = await post(world, "canh-bao", said({**COUNT, "messages": [f"m-{number:04}" for number in range(1_500)]}))
    assert (
        answer.status == 200
        and answer.json["lines"][0]["numbers"]["not_here"] == 1_500
        and len(answer.json["lines"][0]["not_here"]) == 200
    )
    answer = await post(world, "canh-bao", said({**COUNT, "messages": [f"m-{number:05}" for number in range(3_000)]}))
    assert answer.status == 413 and answer.json["code"] == "body.too-large"


@pytest.mark.parametrize(("others", "status"), [(["H14.2"], 503), (["H14.9"], 200), (["H14.7", "H14.8", "H14.9"], 503)])
async def test_one_at_a_time_an_agency_and_few_in_all(
    world: World, others: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_under_way", set(others))
    answer = await post(world, "canh-bao", said())
    assert answer.status == status, answer.body
    assert status == 200 or (answer.json["code"] == "reconciliation.busy" and answer.headers["retry-after"] == "5")


async def test_a_comparison_that_takes_too_long_ends(yesterday: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "Unhurried", lambda: Unhurried(seconds=-1.0))
    answer = await post(yesterday, "canh-bao", said({**COUNT, "accepted": 3}))
    assert (
        answer.status == 503
        and answer.json["code"] == "reconciliation.too-long"
        and answer.headers["retry-after"] == "5"
    )
    assert yesterday.logged("reconciliation") == []
    monkeypatch.undo()
    assert (await post(yesterday, "canh-bao", said({**COUNT, "accepted": 3}))).status == 200, "its place was given back"


def test_as_much_rest_as_work(world_engine: Engine) -> None:
    """And between two pieces nothing is held open in the database."""
    now, rests = 0.0, list[float]()

    def clock() -> float:
        return now

    with reading(world_engine) as connection:
        pace = Unhurried(10.0, clock, rests.append)
        for seconds in (0.001, 0.02, 3.0):
            now += seconds
            connection.execute(text("SELECT 1"))
            pace(connection)
        assert not connection.in_transaction() or world_engine.dialect.name == "postgresql"
        now += 8.0
        with pytest.raises(Ours) as raised:
            pace(connection)
    assert raised.value.code == "reconciliation.too-long" and rests == [pytest.approx(0.021), 0.05]


@pytest.fixture
def world_engine(world: World) -> Engine:
    return world.engine

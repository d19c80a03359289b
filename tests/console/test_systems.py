"""The board of systems: numbers, one system, suspension, revocation, and the test of a connection."""

from __future__ import annotations

import json
import re
import ssl
import time
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert, select

from adapters.opening import Peers
from contracts.base.ids import new_id
from contracts.base.words import Words
from gateway.console.roles import Role
from gateway.journal import jobs
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.connection_test import ConnectionTest
from gateway.keeper.tasks.connection_tests import KIND, ConnectionTests
from gateway.registry.changes.notices import in_both
from tests.console.people import Desk, Reader
from tests.console.test_queue import office as office
from tests.delivery.posting import Post
from tests.delivery.posting import post as post

REASON = "agreed with the agency by telephone"


def exchange(office: Desk, number: int, state: str, hours: float, provider: str = "truong-ha") -> None:
    """Transfers of some hours ago."""
    received = time.time() - hours * 3600
    rows = []
    for _ in range(number):
        id = new_id(int(received * 1000))
        facts = ("dispatch", "phan-anh", "H14.5", "field-report/v1", "sha256:0", "createRequest", id)
        names = ("pattern", "caller_system", "caller_agency", "contract", "bundle", "operation", "message_id")
        rows.append(
            dict(zip(names, facts, strict=True))
            | {"id": id, "state": state, "payload_digest": b"0", "grant_id": "G", "provider": provider}
            | {"idempotent": True, "received": received, "committed": received, "finished": received + 0.25}
        )
    with writing(office.world.engine) as connection:
        connection.execute(insert(tables.transfer), rows)


async def test_the_board_counts_calls_failures_and_latency(office: Desk) -> None:
    exchange(office, 3, "answered", 2.5)
    exchange(office, 2, "failed", 1.5)
    exchange(office, 4, "answered", 30.0)  # of yesterday
    minh = await office.signed_in("minh", Role.OPERATOR)
    page = await minh.get("/console/systems")
    row = page.body.decode().partition('href="/console/systems/truong-ha"')[2].partition("</tr>")[0]
    text = Reader(row.encode()).text
    assert page.status == 200 and " 5 2 250 " in text, text
    assert "<polyline" in row


async def test_the_cost_of_the_board_is_bounded(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.console.work.board.LOOKS", 4)
    exchange(office, 3, "answered", 5.0)
    exchange(office, 3, "answered", 1.0)
    minh = await office.signed_in("minh", Role.OPERATOR)
    page = (await minh.get("/console/systems")).body.decode()
    row = page.partition('href="/console/systems/truong-ha"')[2].partition("</tr>")[0]
    assert " 4 0 250 " in Reader(row.encode()).text


async def test_an_agency_sees_its_own_systems_only(office: Desk) -> None:
    lan = await office.signed_in("lan", Role.AGENCY, agency="H14.5")
    page = Reader((await lan.get("/console/systems")).body)
    assert "/console/systems/phan-anh" in page.links and "/console/systems/truong-ha" not in page.links
    own, other = await lan.get("/console/systems/phan-anh"), await lan.get("/console/systems/truong-ha")
    assert (
        own.status == 200 and other.status == 404 and not [each for each in Reader(own.body).forms if "suspend" in each]
    )
    assert (await lan.get("/console/systems/truong-ha/events")).status == 404
    for act in ("suspend", "resume", "revoke", "test"):
        assert (await lan.post(f"/console/systems/phan-anh/{act}", reason=REASON)).status == 403


def notes(office: Desk, what: str) -> list[dict[str, Any]]:
    table = tables.log_pending.c
    with office.world.engine.connect() as connection:
        return [json.loads(bytes(each)) for each in connection.scalars(select(table.entry).where(table.phase == what))]


def is_active(office: Desk) -> bool:
    return office.world.services.registry.snapshot.systems["truong-ha"].active


async def test_a_system_is_suspended_with_notice_and_resumed(office: Desk) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR)
    here = "/console/systems/truong-ha"
    assert (await minh.post(f"{here}/suspend", reason_vi="", reason_en=" ")).status == 400
    assert (await minh.post(f"{here}/suspend", reason_vi="a", reason_en="b", until="2020-01-01")).status == 400
    done = await minh.post(f"{here}/suspend", reason_vi="Bảo trì", reason_en="Maintenance", until="2099-01-01T10:00")
    assert done.status == 303
    text = Reader((await minh.get(here)).body).text
    assert "Suspended." in text and "Maintenance" in text and "2099-01-01 10:00:00" in text
    assert not is_active(office)
    (note,) = notes(office, "suspended")
    assert note["actor"].startswith("H14.0/minh: console") and note["facts"]["reason"]["vi"] == "Bảo trì"
    assert (await minh.post(f"{here}/resume", reason=REASON)).status == 303
    assert is_active(office)
    assert notes(office, "resumed")[0]["facts"]["reason"] == REASON


async def test_one_language_of_a_reason_suffices(office: Desk) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR)
    here = "/console/systems/truong-ha"
    for language, own, other in (("vi", "reason_vi", "reason_en"), ("en", "reason_en", "reason_vi")):
        minh.language = language
        form = (await minh.get(here)).body.decode()
        fields = dict(re.findall(r'<input id="(reason_(?:vi|en))"([^>]*)>', form))
        assert "required" in fields[own] and "required" not in fields[other]
    assert (await minh.post(f"{here}/suspend", reason_vi="Bảo trì", reason_en="")).status == 303
    reason = notes(office, "suspended")[0]["facts"]["reason"]
    assert reason == {"vi": "Bảo trì", "en": "(in Vietnamese) Bảo trì"}
    assert in_both("", "Maintenance") == Words("(bằng tiếng Anh) Maintenance", "Maintenance")


async def test_a_key_is_revoked_with_both_reasons(office: Desk) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR)
    snapshot = office.world.services.registry.snapshot
    mine = [key.key_id for key in snapshot.keys.values() if key.system == "truong-ha"]
    here = "/console/systems/truong-ha"
    assert (await minh.post(f"{here}/revoke", key=mine[0], code="because", reason=REASON)).status == 400
    assert (
        await minh.post("/console/systems/do-thi/revoke", key=mine[0], code="keyCompromise", reason=REASON)
    ).status == 404
    assert (await minh.post(f"{here}/revoke", key=mine[0], code="keyCompromise", reason=REASON)).status == 303
    states = {id: office.world.services.registry.snapshot.keys[id].state for id in mine}
    assert states == dict.fromkeys(mine, "active") | {mine[0]: "revoked"}
    assert notes(office, "registry")[0]["facts"]["reason"] == REASON
    assert (await minh.post(f"{here}/revoke", key="", code="cessationOfOperation", reason=REASON)).status == 400
    assert (await minh.post(f"{here}/revoke", key="*", code="cessationOfOperation", reason=REASON)).status == 303
    assert {office.world.services.registry.snapshot.keys[id].state for id in mine} == {"revoked"}


async def test_no_key_is_chosen_for_who_revokes_but_the_one_that_he_came_for(office: Desk) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR)
    key = next(each.key_id for each in office.world.services.registry.snapshot.keys.values() if each.use == "sign")
    for query, chosen in (("", [""]), (f"?key={key}", [key]), ("?key=nobody", [""])):
        page = (await minh.get(f"/console/systems/truong-ha{query}")).body.decode()
        options = page.partition('<select id="key" name="key" required>')[2].partition("</select>")[0].split("<option")
        names = [each.partition(">")[2].partition("<")[0] for each in options if " selected" in each]
        assert [name if name == key else "" for name in names] == chosen, query


async def plain(_request: web.Request, _body: bytes) -> web.StreamResponse:
    """An answer to a request that bears no message."""
    return web.Response(status=404)


def _answering(status: int) -> Any:
    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=status)

    return answer


async def test_a_connection_is_tested_by_the_keeper(office: Desk, post: Post) -> None:
    post.provider.script = plain
    minh = await office.signed_in("minh", Role.OPERATOR)
    here = "/console/systems/truong-ha"
    for _ in range(2):  # asked for twice, it runs once
        assert (await minh.post(f"{here}/test", url="https://192.0.2.1/")).status == 303
    with post.engine.connect() as connection:
        assert len(jobs.running(connection, KIND)) == 1
    keeper = ConnectionTests(post.engine, lock_of(post.engine), post.registry, Peers(post.tls), time.time)
    await keeper.run_once(post.lease)
    with post.engine.connect() as connection:
        (job,) = jobs.newest(connection, KIND)
    steps = {each["name"]: each for each in job.facts["steps"]}
    assert list(steps) == ["address", "dns", "tcp", "tls", "certificate", "http", "clock", "signature"], steps
    assert {each["state"] for name, each in steps.items() if name not in ("certificate", "signature")} == {"ok"}
    assert post.provider.url.startswith(steps["address"]["url"]) and steps["signature"]["state"] == "left-out"
    text = Reader((await minh.get(here)).body).text
    assert "Name (DNS)" in text and "H14.0/minh well" in text and "192.0.2.1" not in text
    assert not post.provider.seen or all(not each.body for each in post.provider.seen)


async def test_a_test_says_which_step_failed(post: Post) -> None:
    async def tell(steps: list[dict[str, Any]]) -> None:
        told.append(len(steps))

    told: list[int] = []
    post.provider.script = plain
    nobody, peers = "https://127.0.0.1:1/", Peers(post.tls)
    steps = await ConnectionTest(peers, "truong-ha", time.time, tell).run(nobody, None)
    assert [(each["name"], each["state"]) for each in steps] == [
        ("address", "ok"), ("dns", "ok"), ("tcp", "bad"), ("signature", "left-out"),
    ]  # fmt: skip
    steps = await ConnectionTest(peers, "truong-ha", time.time, tell).run("https://no-such-name.invalid/", None)
    assert [each["state"] for each in steps if each["name"] == "dns"] == ["bad"]
    strict = ssl.create_default_context()  # does not know the authority
    steps = await ConnectionTest(Peers(strict), "truong-ha", time.time, tell).run(post.provider.url, None)
    (tls,) = (each for each in steps if each["name"] == "tls")
    assert tls["state"] == "bad" and tls["why"].startswith("certificate: ")
    for status, state in ((500, "warn"), (403, "warn"), (405, "ok")):
        post.provider.script = _answering(status)
        steps = await ConnectionTest(peers, "truong-ha", time.time, tell).run(post.provider.url, None)
        assert [each["state"] for each in steps if each["name"] == "http"] == [state], status
    post.provider.script = plain
    late = await ConnectionTest(peers, "truong-ha", lambda: time.time() + 3600, tell).run(post.provider.url, None)
    (clock,) = (each for each in late if each["name"] == "clock")
    assert clock["state"] == "warn" and -3700 < clock["apart"] < -3500
    assert (await ConnectionTest(peers, "truong-ha", time.time, tell).run(None, None))[0]["state"] == "bad"

"""The pages of the queue: lists, one message, decisions, bulk retries."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.audit.log.checkpoints import NewestCheckpoint
from gateway.console.roles import Role
from gateway.console.work import integrity, queueing
from gateway.delivery import bulk, listing
from gateway.journal import jobs
from gateway.keys.keyring import Keyring
from gateway.registry.changes.orders import Orders
from gateway.settings import Settings
from tests.console.people import Desk, Reader, checks_ended
from tests.delivery.posting import Post, answering
from tests.delivery.posting import post as post
from tests.delivery.test_bulk import step, waiting
from tests.delivery.test_decisions import doubtful

REASON = "the provider was asked by telephone"


@pytest.fixture
def office(post: Post, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk beside a keeper that delivers. Its folder is no whole instance."""
    monkeypatch.setattr(integrity, "command", lambda _desk: [sys.executable, "-c", ""])
    folder = tmp_path / "office"
    folder.mkdir()
    settings = Settings(folder, public_base="https://gateway.example:8443", origin="localhost/lgsp-test")
    services: Any = SimpleNamespace(
        engine=post.engine,
        registry=post.registry,
        newest_checkpoint=NewestCheckpoint(settings.checkpoint_file),
        settings=settings,
        keyring=Keyring(settings),
    )
    yield Desk(SimpleNamespace(services=services, engine=post.engine))  # type: ignore[arg-type]
    checks_ended()


async def test_the_lists_and_one_message(office: Desk, post: Post) -> None:
    doubt, (first, *_rest) = await doubtful(post), await waiting(post, 3)
    minh = await office.signed_in("minh", Role.OPERATOR)
    page = Reader((await minh.get("/console/queue")).body)
    assert doubt[-12:] in page.text and first[-12:] not in page.text
    page = Reader((await minh.get("/console/queue?state=waiting&failure=provider.down")).body)
    assert first[-12:] in page.text and "Retry this whole list" in page.text
    assert "Nothing is in this list." in Reader((await minh.get("/console/queue?state=waiting&provider=x")).body).text
    assert (await minh.get("/console/queue?state=nothing")).status == 400
    one = Reader((await minh.get(f"/console/queue/{doubt}")).body)
    assert "try 2" in one.text and "provider.fault" in one.text
    assert {f"/console/queue/{doubt}/{act}" for act in ("done", "not-done", "retry")} <= set(one.forms)
    assert (await minh.get("/console/queue/01935b6e-0000-7000-8000-999999999999")).status == 404


async def test_home_counts_what_the_lists_hold(office: Desk, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count ends at a bound, and says so: the page costs the same however many wait."""
    await doubtful(post)
    await waiting(post, 3)
    person = await office.signed_in("van", Role.OPERATOR)
    page = (await person.get("/console")).body.decode()
    shown = dict(re.findall(r'href="/console/queue\?state=([a-z-]+)".*?<p class="value">([0-9+]+)</p>', page, re.S))
    assert shown == {"in-doubt": "1", "waiting": "3", "dead": "0"}
    monkeypatch.setattr(listing, "COUNTED", 2)
    monkeypatch.setattr(listing.count, "__defaults__", (2,))
    page = (await person.get("/console")).body.decode()
    assert ">2+</p>" in page


async def test_the_pages_are_keyset_pages(office: Desk, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.console.work.queueing.PAGE", 2)
    made = await waiting(post, 5)
    minh = await office.signed_in("minh", Role.OPERATOR)
    seen: list[str] = []
    target: str | None = "/console/queue?state=waiting"
    while target is not None:
        page = Reader((await minh.get(target)).body)
        seen += [each.rpartition("/")[2] for each in page.links if each.startswith("/console/queue/0")]
        target = next((each for each in page.links if "cursor=" in each), None)
    assert seen == made


async def test_a_doubt_is_settled_with_a_reason(office: Desk, post: Post) -> None:
    transfer = await doubtful(post)
    minh = await office.signed_in("minh", Role.OPERATOR)
    refused = await minh.post(f"/console/queue/{transfer}/done", reason="short")
    assert refused.status == 400 and post.row(transfer)["state"] == "in-doubt"
    unconfirmed = await minh.post(f"/console/queue/{transfer}/retry", reason=REASON)
    assert unconfirmed.status == 409 and "queue.unconfirmed" in Reader(unconfirmed.body).text
    done = await minh.post(f"/console/queue/{transfer}/done", reason=REASON)
    assert done.status == 303 and post.row(transfer)["state"] == "answered"
    shown = Reader((await minh.get(done.headers["location"])).body).text
    assert "The transfer is settled." in shown and "has ended" in shown
    note = post.entry(transfer, "settled")
    assert note["actor"].startswith("H14.0/minh: console") and note["facts"]["reason"] == REASON
    again = await minh.post(f"/console/queue/{transfer}/not-done", reason=REASON)
    assert again.status == 409 and "queue.ended" in Reader(again.body).text


@pytest.mark.parametrize("role", [Role.OFFICER, Role.AUDITOR])
async def test_who_only_reads_sees_no_form_and_decides_nothing(office: Desk, post: Post, role: Role) -> None:
    transfer = await doubtful(post)
    lan = await office.signed_in("lan", role)
    page = Reader((await lan.get(f"/console/queue/{transfer}")).body)
    assert not [each for each in page.forms if each.startswith("/console/queue/")]
    for target in (f"/console/queue/{transfer}/done", "/console/queue/bulk", "/console/queue/bulk/x/stop"):
        assert (await lan.post(target, reason=REASON)).status == 403
    assert post.row(transfer)["state"] == "in-doubt"


@pytest.mark.parametrize("role", [Role.AGENCY, Role.CENTRE, Role.STEWARD, Role.VENDOR])
async def test_an_agency_sees_no_queue(office: Desk, post: Post, role: Role) -> None:
    transfer = await doubtful(post)
    lan = await office.signed_in("lan", role, agency="H14.5")
    for target in ("/console/queue", f"/console/queue/{transfer}", "/console/queue/bulk/x"):
        assert (await lan.get(target)).status == 403


async def test_a_whole_list_is_previewed_started_stopped_and_resumed(office: Desk, post: Post) -> None:
    made, keeps = await waiting(post, 3), partial(step, post, Orders(office.desk().hash_key))
    minh = await office.signed_in("minh", Role.OPERATOR)
    preview = await minh.get("/console/queue/bulk?state=waiting&failure=provider.down")
    text = Reader(preview.body).text
    assert all(each[-12:] in text for each in made)
    digest = preview.body.decode().partition('name="digest" value="')[2].partition('"')[0]
    transfers = preview.body.decode().partition('name="transfers" value="')[2].partition('"')[0]
    assert transfers.split() == made
    asked = {"state": "waiting", "failure": "provider.down", "provider": "", "digest": digest, "reason": REASON}
    asked["transfers"] = transfers
    stale = await minh.post("/console/queue/bulk", **{**asked, "digest": "0" * 64})
    assert stale.status == 409 and "queue.changed" in Reader(stale.body).text
    assert f">{REASON}</textarea>" in stale.body.decode() and digest in stale.body.decode()  # previewed again
    assert (await minh.post("/console/queue/bulk", **{**asked, "reason": "x"})).status == 400
    later = await waiting(post, 1)  # does not void what was previewed, and is not part of it
    started = await minh.post("/console/queue/bulk", **asked)
    here = started.headers["location"].partition("?")[0]
    assert started.status == 303 and here.startswith("/console/queue/bulk/")
    post.provider.script = answering(post.provider)
    assert keeps() == 1 and "One message goes first" in Reader((await minh.get(here)).body).text
    await post.run()
    assert keeps() == 0  # its answer is seen
    assert "The others follow" in Reader((await minh.get(here)).body).text
    assert (await minh.post(f"{here}/stop", reason=REASON)).status == 303 and keeps() == 0
    assert "stopped" in Reader((await minh.get(here)).body).text
    assert (await minh.post(f"{here}/resume", reason=REASON)).status == 303
    assert keeps() == 1 and await post.run() == 1 and keeps() == 0 and keeps() == 1
    await post.run()
    assert keeps() == 0 and "finished" in Reader((await minh.get(here)).body).text
    assert {post.row(each)["state"] for each in made} == {"answered"} and post.row(later[0])["state"] == "queued"
    assert (await minh.post(f"{here}/burn", reason=REASON)).status == 400
    assert (await minh.get("/console/queue/bulk?state=dead")).status == 400
    with post.engine.connect() as connection:
        assert [job.state for job in jobs.newest(connection, bulk.KIND)] == ["done"]


async def test_who_cancelled_a_message_and_why_is_shown(office: Desk, post: Post) -> None:
    (transfer,) = await waiting(post, 1)
    minh = await office.signed_in("minh", Role.OPERATOR)
    assert (await minh.post(f"/console/queue/{transfer}/retry", reason="the provider says it is back")).status == 303
    assert (await minh.post(f"/console/queue/{transfer}/cancel", reason=REASON)).status == 303
    page = Reader((await minh.get(f"/console/queue/{transfer}")).body).text
    listed = Reader((await minh.get("/console/queue?state=dead")).body).text
    for text in (page, listed.partition(transfer[-12:])[2]):
        assert "The message was withdrawn" in text and "H14.0/minh" in text and REASON in text
    assert "Why it ended" in page and "Why it ended" in listed
    assert "provider. down" not in listed and "the provider says it is back" in page
    seen = queueing.message(office.desk(), transfer)
    assert [each.act for each in seen.decided] == ["retry", "cancel"] and seen.message.failure == "delivery.cancelled"


async def test_a_decision_needs_a_post_of_this_site(office: Desk, post: Post) -> None:
    transfer = await doubtful(post)
    minh = await office.signed_in("minh", Role.OPERATOR)
    target = f"/console/queue/{transfer}/done"
    assert (await minh.get(target)).status in (404, 405)
    fields = {"reason": REASON}
    assert (await minh.send(target, fields)).status == 403  # without the form's token
    assert (await minh.send(target, fields, origin="https://elsewhere.example")).status == 403
    assert post.row(transfer)["state"] == "in-doubt"


async def test_a_held_message_and_what_waits_behind_it_are_shown(office: Desk, post: Post) -> None:
    place = {"order_key": "k1"}
    head, behind = await post.put_aside(place=place), await post.put_aside(place=place)
    post.set_queue(head, state="held", tries=60, last_failure="provider.fault", callback="dead", callback_tries=3)
    minh = await office.signed_in("minh", Role.OPERATOR)
    listed = Reader((await minh.get("/console/queue?state=held")).body)
    assert head[-12:] in listed.text and behind[-12:] not in listed.text and "Retry this whole list" in listed.text
    one = Reader((await minh.get(f"/console/queue/{head}")).body)
    assert "asks for an order" in one.text and "Callback to the sender" in one.text and "calls: 3" in one.text
    assert {f"/console/queue/{head}/{act}" for act in ("retry", "discard", "cancel")} <= set(one.forms)
    waits = Reader((await minh.get(f"/console/queue/{behind}")).body)
    assert "It waits for an earlier message of its key" in waits.text and head in waits.text
    assert (await minh.post(f"/console/queue/{head}/discard", reason=REASON)).status == 303
    after = Reader((await minh.get(f"/console/queue/{behind}")).body)
    assert "earlier message of its key" not in after.text and post.row(head)["state"] == "dead"

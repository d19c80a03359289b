"""Feeds, transfers and the audit log: who may read what, and that what is read is signed, masked and logged."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from sqlalchemy import insert, select, update

from gateway.audit.search.search import Query, reading, search
from gateway.doors.api.feed_readings import close_sessions
from gateway.journal import processes
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from security.transparency.checkpoint import Checkpoint
from security.transparency.merkle import verify_consistency, verify_inclusion
from tests.doors.api.client import World, ask
from tests.registry.making import approve_all

ONE, TWO, THREE = (f"01935b6e-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
FEED = "/feeds/incident-alert/v1"


async def test_a_feed_in_pages(world: World) -> None:
    for transfer in (ONE, TWO, THREE):
        await world.hand_in(transfer, {"identifier": transfer, "note": "x"})
    world.sequence()
    first = await world.signed("dieu-hanh", f"{FEED}?limit=2")
    assert first.status == 200, first.json
    assert first.headers["content-type"] == "application/json" and "lgsp-checkpoint" in first.headers
    assert [event["id"] for event in first.json["events"]] == [ONE, TWO] and first.json["more"] is True
    assert first.json["events"][0]["data"] == {"identifier": ONE, "note": "x"}
    second = await world.signed("dieu-hanh", f"{FEED}?limit=2&after={first.json['next']}")
    assert [event["id"] for event in second.json["events"]] == [THREE] and second.json["more"] is False
    third = await world.signed("dieu-hanh", f"{FEED}?after={second.json['next']}")
    assert third.json["events"] == [] and third.json["next"] == second.json["next"]
    (opened,) = world.logged("feed-read")  # neither the second page nor the empty poll is an entry
    assert opened["actor"] == "H14.0/dieu-hanh" and opened["facts"]["owners"] == ["H14.2"]
    assert {name: opened["facts"][name] for name in ("grant", "state", "from", "to")} == {
        "grant": "G-0004", "state": "opened", "from": 1, "to": 1000,
    }  # fmt: skip
    await close_sessions(world.services, all=True)
    closed = world.logged("feed-read")[1]["facts"]
    assert (closed["state"], closed["read"], closed["events"], closed["readings"]) == ("closed", [[1, 3]], 3, 2)
    assert closed["session"] == opened["facts"]["session"]


async def test_empty_polls_are_no_entries(world: World) -> None:
    for _ in range(3):
        assert (await world.signed("dieu-hanh", FEED)).json["events"] == []
    assert world.logged("feed-read") == []


async def test_no_event_leaves_when_its_entry_cannot_be_written(world: World) -> None:
    assert (await world.signed("dieu-hanh", FEED)).status == 200  # it has its token
    await world.hand_in(ONE, {"identifier": ONE, "note": "private"})
    world.sequence()
    processes.end(world.engine, world.journal.process_id)  # the keeper takes this process for dead
    answer = await world.signed("dieu-hanh", FEED)
    assert answer.status == 503 and b"private" not in answer.body
    assert world.logged("feed-read") == []


@pytest.mark.parametrize("masked", [False, True])
async def test_a_reading_names_the_owners_of_the_events(world: World, masked: bool) -> None:
    if masked:
        regrant(world, fields=["*", "!note"])
    hostile = '","lgspagency":"H99","x":"'
    await world.hand_in(ONE, {"identifier": hostile, "note": "x"})
    await world.hand_in(TWO, {"identifier": TWO, "note": "x"})
    world.sequence()
    await world.signed("dieu-hanh", FEED)
    assert [entry["facts"]["owners"] for entry in world.logged("feed-read")] == [["H14.2"]]
    world.sequence()
    with reading(world.engine) as connection:
        for query in (Query(agency="H14.2", role="owner"), Query(agency="H14.0", role="reader")):
            assert {each.facts.kind for each in search(connection, query).hits} == {"feed-read"}


async def test_a_feed_needs_a_grant(world: World) -> None:
    answer = await world.signed("canh-bao", FEED)
    assert answer.status == 403 and answer.json["code"] == "access.no-operation"
    assert (
        "(H14.0; " in answer.json["next"]
        and "signature" in answer.headers
        and "refusal=" in answer.headers["lgsp-receipt"]
    )
    answer = await world.signed("thuc-phan", FEED)
    assert answer.status == 403 and answer.json["code"] == "access.no-grant"


@pytest.mark.parametrize("feed", ["/feeds/no-such/v1", "/feeds/incident-alert/v2", "/feeds/official-document/v1"])
async def test_a_feed_that_is_none(feed: str, world: World) -> None:
    answer = await world.signed("dieu-hanh", feed)
    assert answer.status == 404 and answer.json["code"] == "feed.unknown"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=%20", "since=1"])
async def test_feed_parameters(query: str, world: World) -> None:
    answer = await world.signed("dieu-hanh", f"{FEED}?{query}")
    assert answer.status == 400 and answer.json["code"] == "api.invalid"


async def test_a_foreign_cursor(world: World) -> None:
    answer = await world.signed("dieu-hanh", f"{FEED}?after=AAAA")
    assert answer.status == 400 and answer.json["code"] == "feed.bad-cursor"


async def test_the_very_same_bytes_are_answered_once(world: World) -> None:
    headers = await world.signed_headers("dieu-hanh", "GET", FEED)
    certificate = world.identities["dieu-hanh"].tls_der
    assert (await ask(world.app, "GET", FEED, headers, certificate=certificate)).status == 200
    again = await ask(world.app, "GET", FEED, headers, certificate=certificate)
    assert again.status == 409 and again.json["code"] == "api.replayed"


async def test_a_signature_for_another_address_does_not_serve(world: World) -> None:
    headers = await world.signed_headers("dieu-hanh", "GET", f"{FEED}?limit=1")
    answer = await ask(
        world.app, "GET", f"{FEED}?limit=1000", headers, certificate=world.identities["dieu-hanh"].tls_der
    )
    assert answer.status == 401 and answer.json["code"] == "signature.wrong"


def regrant(world: World, grant: str = "G-0004", **changes: object) -> None:
    """The centre's grant for a feed with other contents, past the proposal, which refuses to hide what the contract
    cannot show as absent."""
    table = tables.access_grant
    with writing(world.engine) as connection:
        body = json.loads(connection.execute(select(table.c.body).where(table.c.id == grant)).scalar_one())
        connection.execute(update(table).where(table.c.id == grant).values(body=json.dumps(body | changes)))
        approve_all(connection)  # else it is a grant that nobody approved
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)


async def test_a_readers_grant_masks(world: World) -> None:
    regrant(world, fields=["*", "!note"])
    await world.hand_in(ONE, {"identifier": ONE, "note": "private"})
    world.sequence()
    answer = await world.signed("dieu-hanh", FEED)
    (event,) = answer.json["events"]
    assert event["data"]["identifier"] == ONE == event["subject"] and event["data"].get("note") in (
        None,
        {"absent": "not-permitted"},
    )
    assert b"private" not in answer.body


async def test_what_is_hidden_is_not_told_by_the_events_subject_either(world: World) -> None:
    regrant(world, fields=["*", "!identifier"])
    await world.hand_in(ONE, {"identifier": "private-id", "note": "n"})
    world.sequence()
    answer = await world.signed("dieu-hanh", FEED)
    (event,) = answer.json["events"]
    assert event["data"]["note"] == "n" and "subject" not in event
    for told in (
        b"private-id",
        hashlib.sha256(b"private-id").hexdigest().encode(),
        base64.b64encode(hashlib.sha256(b"private-id").digest()),
    ):
        assert told not in answer.body


async def test_readings_count_against_the_quota(world: World) -> None:
    regrant(world, quota={"calls": 2, "per": "month"})
    answers = [await world.signed("dieu-hanh", FEED) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[3].json["code"] == "access.quota" and int(answers[3].headers["retry-after"]) > 0
    assert [entry["failure"] for entry in world.logged("refusal")] == ["access.quota"] * 2


async def test_beyond_a_quota_a_reader_sees_what_its_other_grants_show(world: World) -> None:
    table = tables.access_grant
    with writing(world.engine) as connection:
        row = connection.execute(select(table).where(table.c.id == "G-0004")).mappings().one()
        second = json.loads(row["body"]) | {"id": "G-0999", "fields": ["*"], "quota": {"calls": 1, "per": "month"}}
        connection.execute(insert(table).values({**row, "id": "G-0999", "body": json.dumps(second)}))
    regrant(world, fields=["*", "!note"])
    await world.hand_in(ONE, {"identifier": ONE, "note": "private"})
    world.sequence()
    answers = [await world.signed("dieu-hanh", FEED) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200] and [
        b"private" in answer.body for answer in answers
    ] == [
        True,
        False,
        False,
    ]
    facts = [entry["facts"] for entry in world.logged("feed-read")]
    assert [sorted([each["grant"], *each.get("also", [])]) for each in facts] == [
        ["G-0004", "G-0999"],
        ["G-0004"],  # the third page belongs to the second one's session
    ]


async def test_a_transfer_for_its_parties_only(world: World) -> None:
    await world.hand_in(ONE, {}, provider="do-thi")
    for party in ("canh-bao", "do-thi"):
        answer = await world.signed(party, f"/transfers/{ONE}")
        assert (
            answer.status == 200 and answer.json["state"] == "accepted" and answer.json["sender"] == "H14.2/canh-bao"
        ), answer.json
        assert answer.json["final"] is True and "finished" not in answer.json
    others, nothing = (
        await world.signed("dieu-hanh", f"/transfers/{ONE}"),
        await world.signed("dieu-hanh", f"/transfers/{TWO}"),
    )
    assert others.status == nothing.status == 404
    assert others.json["code"] == nothing.json["code"] == "transfer.unknown"
    assert (await world.signed("canh-bao", "/transfers/not-an-id")).json["code"] == "api.invalid"


async def test_the_log_for_everybody(world: World) -> None:
    assert (await world.public("GET", "/audit/checkpoint")).json["code"] == "audit.no-checkpoint"
    world.note(3)
    world.sequence()
    world.services.newest_checkpoint._looked = float("-inf")  # type: ignore[attr-defined]  # it looks four times a second
    old = await world.public("GET", "/audit/checkpoint")
    assert old.status == 200 and old.headers["content-type"].startswith("text/plain")
    before = Checkpoint.from_text(old.body.decode().split("\n\n")[0] + "\n")
    world.note(5)
    world.sequence()
    proof = (await world.public("GET", f"/audit/consistency?from={before.size}")).json
    after = Checkpoint.from_text(proof["checkpoint"].split("\n\n")[0] + "\n")
    verify_consistency(
        before.size, proof["to"], before.root, after.root, [base64.b64decode(each) for each in proof["proof"]]
    )
    tile = await world.public("GET", f"/audit/tile/0/000.p/{after.size}")
    assert tile.status == 200 and len(tile.body) == 32 * after.size and "immutable" in tile.headers["cache-control"]
    assert (await world.public("GET", "/audit/tile/0/000")).status == 404
    assert (await world.public("GET", "/audit/tile/0/x")).json["code"] == "api.invalid"
    assert (await world.public("GET", f"/audit/consistency?from={after.size + 1}")).status == 404
    head = await world.public("HEAD", "/audit/checkpoint")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 0


async def test_entries_for_the_centre_only(world: World) -> None:
    world.note(2)
    world.sequence()
    path = "/audit/tile/entries/000.p/2"
    answer = await world.signed("dieu-hanh", path)
    assert answer.status == 200 and int.from_bytes(answer.body[:2], "big") < len(answer.body)
    assert world.logged("log-read")[0]["facts"] == {"path": "tile/entries/000.p/2"}
    refused = await world.signed("canh-bao", path)
    assert refused.status == 403 and refused.json["code"] == "audit.not-yours"
    assert (await world.public("GET", path)).status == 401


async def test_a_proof_for_the_parties(world: World) -> None:
    await world.hand_in(ONE, {}, provider="do-thi")
    assert (await world.signed("canh-bao", f"/audit/proof/{ONE}")).status == 404  # not sequenced yet
    world.note(4)
    world.sequence()
    answer = await world.signed("canh-bao", f"/audit/proof/{ONE}")
    assert answer.status == 200
    (entry,) = answer.json["entries"]
    root = Checkpoint.from_text(answer.json["checkpoint"].split("\n\n")[0] + "\n")
    verify_inclusion(
        base64.b64decode(entry["leaf"]),
        entry["index"],
        root.size,
        [base64.b64decode(each) for each in entry["proof"]],
        root.root,
    )
    assert entry["phase"] == "intent" and entry["text"].startswith("c2sp.org/tlog-proof@v1")
    assert (await world.signed("dieu-hanh", f"/audit/proof/{ONE}")).json["code"] == "transfer.unknown"


async def test_what_is_revoked_is_refused_on_the_next_request(world: World) -> None:
    assert (await world.signed("dieu-hanh", FEED)).status == 200
    with writing(world.engine) as connection:
        store.revoke_key(connection, "dieu-hanh.sign-1", 0.0)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    answer = await world.signed("dieu-hanh", FEED)
    assert answer.status == 403 and answer.json["code"] == "signature.key-revoked"


async def test_a_refusal_that_is_read_later_says_what_the_answer_said(world: World) -> None:
    answer = await world.signed("canh-bao", FEED)
    assert answer.status == 403 and answer.json["branch"] == "policy"
    later = (await world.signed("canh-bao", f"/transfers/{answer.json['transfer']}")).json
    assert later["messages"] == answer.json["messages"] and later["ask"]["vi"] in later["messages"]["vi"]["next"]


async def test_a_token_serves_with_its_certificate_only(world: World) -> None:
    headers = await world.signed_headers("dieu-hanh", "GET", FEED)
    answer = await ask(world.app, "GET", FEED, headers, certificate=world.identities["canh-bao"].tls_der)
    assert answer.status in (401, 403) and answer.json["code"] in ("token.other-certificate", "channel.mismatch")


async def test_the_answer_names_the_digest_of_what_it_holds(world: World) -> None:
    answer = await world.signed("dieu-hanh", FEED)
    digest = base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"

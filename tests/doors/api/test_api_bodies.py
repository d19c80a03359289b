"""Files beside documents at the API: nothing counts that was not signed, whole and paid for; nobody else sees one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import func, insert, select

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference, body_reference
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.pieces import Files, check_pieces
from gateway.doors.api import body_uploads
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.retention import holds
from gateway.keeper.retention.holds import Hold
from gateway.keeper.retention.rows import Bodies
from gateway.keeper.tasks.loose_bodies import LooseBodies
from gateway.registry.changes import granting
from gateway.vault import opaque_bodies
from gateway.vault.attachments import PIECE, opener
from security.http_signatures import HttpRequest, sign_request
from tests.doors.api.client import BASE, Answer, World, ask
from tests.registry.making import approve_all

UPLOAD = "/bodies?contract=incident-alert/v1&operation=submitAlert"
DATA = os.urandom(PIECE) * 5 + b"the end"


def stated(data: bytes, name: str = "sha256") -> str:
    label = {"sha256": "sha-256", "sha512": "sha-512"}[name]
    return f"{label}=:{b64encode(hashlib.new(name, data).digest()).decode()}:"


async def signed_upload(
    world: World, digest: str, *, system: str = "canh-bao", target: str = UPLOAD, media: str = "video/mp4"
) -> dict[str, str]:
    headers = {"authorization": f"Bearer {await world.bearer(system)}", "content-type": media, "content-digest": digest}
    request = HttpRequest("POST", BASE + target, headers, b"")
    signed = sign_request(request, world.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18))
    return headers | {"accept-language": "en"} | signed


async def upload(world: World, data: bytes = DATA, size: int | None = None, **more: Any) -> Answer:
    system, target = more.get("system", "canh-bao"), more.get("target", UPLOAD)
    headers = await signed_upload(world, more.pop("digest", stated(data)), **more)
    headers["content-length"] = str(len(data) if size is None else size)
    return await ask(world.app, "POST", target, headers, data, chunks=7, certificate=world.identities[system].tls_der)


def nothing_stays(world: World) -> None:
    with world.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.opaque_body)) == 0
        assert list(connection.scalars(select(tables.vault.c.id).where(tables.vault.c.id.like("%/body%")))) == []
    assert world.logged(opaque_bodies.RECEIVED) == [] and len(world.services.uploads) == 0


async def named(world: World, answer: Answer, **more: Any) -> tuple[str, BodyReference]:
    """(transfer, reference): a transfer of canh-bao names the uploaded file."""
    transfer, reference = new_id(), body_reference(answer.json["reference"])
    assert reference is not None
    await world.hand_in(transfer, {"identifier": "CB-1", "note": str(reference), **more})
    with writing(world.engine) as connection:
        connection.execute(insert(tables.opaque_use).values(body=reference.body, transfer=transfer))
    world.sequence()
    return transfer, reference


async def fetch(world: World, transfer: str, body: str, system: str, bytes: str | None = None) -> Answer:
    target = f"/transfers/{transfer}/bodies/{body}"
    headers = await world.signed_headers(system, "GET", target)
    headers |= {} if bytes is None else {"range": bytes}
    gone = asyncio.Event()
    requests, sent = [{"type": "http.request", "body": b"", "more_body": False}], list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": target,
        "raw_path": target.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("192.0.2.7", 4711),
        "server": ("gateway.example", 8443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"tls": {"client_cert_der": world.identities[system].tls_der}},
    }
    await asyncio.wait_for(world.app(scope, receive, send), 50)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))


async def test_a_file_is_kept_sealed_and_told_to_the_log(world: World) -> None:
    answer = await upload(world, digest=f"{stated(DATA, 'sha512')}, {stated(DATA)}")
    assert answer.status == 201, answer.body
    reference = body_reference(answer.json["reference"])
    assert reference is not None and reference.size == len(DATA)
    assert reference.sha256 == answer.json["sha256"] == hashlib.sha256(DATA).hexdigest()
    open_body = opener(world.engine, world.vault)
    described = opaque_bodies.description(open_body, reference.body)
    assert described is not None and (described.agency, described.media_type) == ("H14.2", "video/mp4")
    count = opaque_bodies.pieces(reference.size)
    found = [opaque_bodies.piece(open_body, reference.body, number, reference.size) for number in range(count)]
    assert b"".join(found) == DATA
    with world.engine.connect() as connection:
        sealed = [bytes(each) for each in connection.scalars(select(tables.vault.c.sealed))]
        leaf = connection.scalar(
            select(tables.log_pending.c.leaf).where(tables.log_pending.c.phase == opaque_bodies.RECEIVED)
        )
    assert not any(DATA[:64] in each or b"video/mp4" in each for each in sealed)
    (note,) = world.logged(opaque_bodies.RECEIVED)
    assert note["transfer"] == reference.body and note["actor"] == "H14.2/canh-bao"
    salted = hashlib.sha256(bytes.fromhex(described.salt) + DATA).hexdigest()
    assert note["facts"] == {
        "contract": "incident-alert/v1",
        "operation": "submitAlert",
        "size": len(DATA),
        "sha256": salted,
    }
    assert b64decode(answer.headers["lgsp-receipt"].removeprefix("intent=:").rstrip(":")) == leaf


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"digest": stated(DATA + b"!")}, 400, "signature.digest-mismatch"),
        ({"digest": f"{stated(DATA)}, {stated(b'', 'sha512')}"}, 400, "signature.digest-mismatch"),
        ({"digest": stated(DATA, "sha512")}, 400, "signature.algorithm"),
        ({"digest": "sha-256=:AAAA:"}, 400, "signature.digest-mismatch"),
        ({"size": len(DATA) - 1}, 413, "body.too-large"),  # more comes than was told
        ({"size": 0}, 411, "body.no-length"),
        ({"size": (1 << 30) + 1}, 413, "body.too-large"),
        ({"size": 10**30}, 413, "body.too-large"),
        ({"media": "../../etc/passwd"}, 415, "body.media-type"),
        ({"media": "video"}, 415, "body.media-type"),
        ({"target": UPLOAD.replace("submitAlert", "nothing")}, 409, "body.not-for-operation"),
        ({"target": UPLOAD.replace("incident-alert", "nothing")}, 409, "body.not-for-operation"),
        ({"target": UPLOAD.replace("submitAlert", "..%2F..%2Fx")}, 400, "api.invalid"),
        ({"target": UPLOAD + "&file=../x"}, 400, "api.invalid"),
        ({"system": "thuc-phan"}, 403, "access.no-grant"),
    ],
)
async def test_what_is_not_as_signed_or_not_allowed_leaves_nothing(
    world: World, change: dict[str, Any], status: int, code: str
) -> None:
    answer = await upload(world, **change)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    nothing_stays(world)


@pytest.mark.attack("large bodies")
async def test_nothing_is_read_of_a_body_whose_head_is_not_proven(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(body_uploads, "coming", None)
    headers = await signed_upload(world, stated(DATA)) | {"content-length": str(len(DATA))}
    certificate = world.identities["canh-bao"].tls_der
    for name, value in (("content-digest", stated(b"x")), ("content-type", "text/plain"), ("signature", "sig1=:AAAA:")):
        answer = await ask(world.app, "POST", UPLOAD, headers | {name: value}, DATA, certificate=certificate)
        assert answer.status in (400, 401) and answer.json["code"].startswith("signature."), answer.body
    other = await ask(world.app, "POST", UPLOAD.replace("submit", "recall"), headers, DATA, certificate=certificate)
    assert other.json["code"].startswith("signature.")
    nothing_stays(world)


@pytest.mark.attack("large bodies")
async def test_a_body_that_breaks_off_or_is_sent_twice_does_not_count(world: World) -> None:
    with pytest.raises(IndexError):  # no answer: the caller has gone
        await upload(world, size=len(DATA) + 1)
    nothing_stays(world)
    headers = await signed_upload(world, stated(DATA)) | {"content-length": str(len(DATA))}
    certificate = world.identities["canh-bao"].tls_der
    assert (await ask(world.app, "POST", UPLOAD, headers, DATA, certificate=certificate)).status == 201
    again = await ask(world.app, "POST", UPLOAD, headers, DATA, certificate=certificate)
    assert (again.status, again.json["code"]) == (409, "api.replayed")
    with world.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.opaque_body)) == 1


@pytest.mark.attack("large bodies")
async def test_what_waits_of_an_agency_is_limited(world: World) -> None:
    world.services.settings = replace(world.services.settings, opaque_bodies=2 * len(DATA))
    first = await upload(world)
    assert (await upload(world)).status == 201
    full = await upload(world)
    assert (full.status, full.json["code"]) == (429, "body.waiting") and int(full.headers["retry-after"]) > 0
    await named(world, first)  # a document names one: it does not wait any more
    assert (await upload(world)).status == 201
    busy = [lambda: None for _ in range(2)]  # two that stand for bodies
    for each in busy:
        world.services.uploads.enter(each, "H14.2")
    full = await upload(world)
    assert (full.status, full.json["code"]) == (429, "limit.streams")


async def test_readers_of_the_feed_who_see_the_reference_may_fetch(world: World) -> None:
    transfer, reference = await named(world, await upload(world))
    for system in ("dieu-hanh", "canh-bao"):  # a reader of the feed, and the sender
        answer = await fetch(world, transfer, reference.body, system)
        assert answer.status == 200 and answer.body == DATA, answer.body[:300]
        assert answer.headers["content-type"] == "video/mp4" and answer.headers["content-length"] == str(len(DATA))
        assert answer.headers["repr-digest"] == stated(DATA)
    notes = world.logged(opaque_bodies.FETCHED)
    assert [(each["actor"], each["facts"]["transfer"], each["facts"]["to"]) for each in notes] == [
        ("H14.0/dieu-hanh", transfer, len(DATA)),
        ("H14.2/canh-bao", transfer, len(DATA)),
    ]
    assert len(world.services.streams) == 0


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        (f"bytes={PIECE - 1}-{PIECE}", PIECE - 1, PIECE + 1),
        (f"bytes={2 * PIECE + 5}-", 2 * PIECE + 5, len(DATA)),
        ("bytes=-3", len(DATA) - 3, len(DATA)),
        (f"bytes=5-{10**14}", 5, len(DATA)),
        (f"bytes=-{10**14}", 0, len(DATA)),
    ],
)
async def test_a_part_of_a_file(world: World, header: str, start: int, stop: int) -> None:
    transfer, reference = await named(world, await upload(world))
    answer = await fetch(world, transfer, reference.body, "dieu-hanh", header)
    assert answer.body == DATA[start:stop]
    if stop - start == len(DATA):
        assert answer.status == 200
    else:
        assert (answer.status, answer.headers["content-range"]) == (206, f"bytes {start}-{stop - 1}/{len(DATA)}")


@pytest.mark.attack("large bodies")
async def test_no_part_of_a_file(world: World) -> None:
    transfer, reference = await named(world, await upload(world))
    for header in ("bytes=5-2", f"bytes={len(DATA)}-", "bytes=-0", "bytes=-", "bytes=0-1,3-4", "lines=1-2"):
        answer = await fetch(world, transfer, reference.body, "dieu-hanh", header)
        assert (answer.status, answer.json["code"]) == (416, "body.range"), header
    assert world.logged(opaque_bodies.FETCHED) == []


def _hides_note(world: World) -> None:
    with writing(world.engine) as connection:
        held = granting.content_of(connection, "G-0004")
        narrowed = replace(held, fields=("*", "!note"), edition=held.edition + 1)
        granting.propose(connection, granting.Proposal(narrowed), 0.0)
        approve_all(connection)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)


@pytest.mark.attack("access: by a file")
@pytest.mark.parametrize(
    ("system", "prepare"),
    [
        ("do-thi", lambda world: None),  # no grant
        ("thuc-phan", lambda world: None),
        ("dieu-hanh", _hides_note),  # a reader of the feed who does not see the field
    ],
)
async def test_to_others_a_file_does_not_exist(world: World, system: str, prepare: Callable[[World], None]) -> None:
    transfer, reference = await named(world, await upload(world))
    prepare(world)
    real = await fetch(world, transfer, reference.body, system)
    none = await fetch(world, new_id(), new_id(), system)
    assert real.status == none.status == 404 and real.json["code"] == none.json["code"] == "body.unknown"
    told = json.dumps(real.json).replace(transfer, "T").replace(reference.body, "B")
    assert str(len(DATA)) not in told and reference.sha256 not in told
    assert world.logged(opaque_bodies.FETCHED) == []


@pytest.mark.attack("access: by a file")
async def test_a_transfer_gives_only_what_its_own_agency_uploaded_and_it_names(world: World) -> None:
    """Rows that say otherwise do not matter: the sealed message and the sealed description do."""
    mine = await upload(world)
    transfer, reference = await named(world, mine)
    other = body_reference((await upload(world, b"other")).json["reference"])
    assert other is not None
    with writing(world.engine) as connection:
        connection.execute(insert(tables.opaque_use).values(body=other.body, transfer=transfer))
    for system in ("canh-bao", "dieu-hanh"):
        assert (await fetch(world, transfer, other.body, system)).status == 404
    with writing(world.engine) as connection:  # the transfer is made another agency's, which names the body
        table = tables.transfer
        connection.execute(table.update().where(table.c.id == transfer).values(caller_agency="H14.3"))
    assert (await fetch(world, transfer, reference.body, "dieu-hanh")).status == 404


@pytest.mark.attack("access: by a file")
async def test_only_a_party_is_told_that_retention_ended(world: World) -> None:
    transfer, reference = await named(world, await upload(world))
    with world.engine.connect() as connection:
        key = connection.scalar(select(tables.vault.c.key_id).where(tables.vault.c.id == f"{reference.body}/body"))
    world.vault.destroy(str(key), time.time())
    told = await fetch(world, transfer, reference.body, "canh-bao")
    assert (told.status, told.json["code"]) == (410, "vault.expired")
    for system in ("do-thi", "dieu-hanh"):
        assert (await fetch(world, transfer, reference.body, system)).status == 404


@pytest.mark.attack("access: by a file")
async def test_ids_that_lead_elsewhere_are_none(world: World) -> None:
    transfer, reference = await named(world, await upload(world))
    for body in ("..", f"{reference.body}.0", f"{transfer}%2Fcanonical", "x" * 36, reference.body.upper()):
        answer = await fetch(world, transfer, body, "canh-bao")
        assert answer.status in (400, 404) and DATA[:20] not in answer.body, body


async def test_what_no_document_names_is_removed_in_time(world: World) -> None:
    kept = body_reference((await upload(world)).json["reference"])
    used = (await named(world, await upload(world)))[1]
    with writing(world.engine) as connection:  # as a killed door leaves it
        broken = new_id()
        connection.execute(insert(tables.opaque_body).values(id=broken, agency="H14.2", size=2 * PIECE))
        row = opaque_bodies.sealed_piece(world.vault, broken, 0, b"x" * PIECE, time.time(), "m24")
        connection.execute(insert(tables.vault).values(row._asdict()))
    clock, lock = [time.time()], cast(Any, lock_of(world.engine))
    job = LooseBodies(world.engine, lock, lambda: clock[0], 24.0)

    async def left() -> set[str]:
        while await job.run_once(world.lease):
            pass
        with world.engine.connect() as connection:
            return {each.partition("/")[0] for each in connection.scalars(select(tables.vault.c.id)) if "/body" in each}

    assert kept is not None
    assert await left() == {kept.body, used.body, broken}
    clock[0] += opaque_bodies.GRACE + 1
    assert await left() == {kept.body, used.body}
    assert world.logged(opaque_bodies.REMOVED) == []
    clock[0] += 24 * 3600
    assert await left() == {used.body}
    (note,) = world.logged(opaque_bodies.REMOVED)
    assert note["transfer"] == kept.body


@pytest.mark.attack("log: rows")
async def test_verification_finds_what_happened_to_a_file(world: World) -> None:
    reference = body_reference((await upload(world)).json["reference"])
    assert reference is not None
    vault, prefix = tables.vault, f"{reference.body}/body"

    def found(open_all: bool, change: Any = None) -> list[str]:
        wrong = Findings()
        with world.engine.connect() as connection:
            if change is not None:
                connection.execute(change)
            check_pieces(connection, wrong, Files(world.vault, open_all))
            connection.rollback()
        return wrong.wrong

    assert found(False) == found(True) == []
    assert "gone" in found(False, vault.delete().where(vault.c.id == f"{prefix}.3"))[0]
    assert "the vault has none" in found(False, vault.delete().where(vault.c.id == prefix))[0]
    shorter = vault.update().where(vault.c.id == f"{prefix}.5").values(size=3)
    assert "bytes" in found(False, shorter)[0]
    other = select(vault.c.sealed).where(vault.c.id == f"{prefix}.0").scalar_subquery()
    swapped = vault.update().where(vault.c.id == f"{prefix}.1").values(sealed=other)
    assert found(False, swapped) == [] and "does not open" in found(True, swapped)[0]
    later = world.vault.seal(reference.body, "body", b"{}", time.time(), "m24", bytes(32))
    resealed = vault.update().where(vault.c.id == prefix).values(sealed=later.sealed, size=later.size)
    assert "another entry" in found(False, resealed)[0]


async def test_a_hold_covers_the_files_of_its_transfers(world: World) -> None:
    transfer, reference = await named(world, await upload(world))
    now = time.time()
    with writing(world.engine) as connection:
        hold = Hold("tranh-chap", "kept for the court", "test", now, transfers=(transfer,))
        holds.add(connection, hold)
    bodies = Bodies(world.engine, None, world.vault, lambda connection: None)
    holds.seal_again(bodies, hold, now)
    with world.engine.connect() as connection:
        keys = dict(connection.execute(select(tables.vault.c.id, tables.vault.c.key_id)).all())
    held = {id for id, key in keys.items() if key.endswith(".tranh-chap")}
    count = opaque_bodies.pieces(reference.size)
    assert {f"{reference.body}/body", *(f"{reference.body}/body.{n}" for n in range(count))} < held
    assert (await fetch(world, transfer, reference.body, "dieu-hanh")).body == DATA

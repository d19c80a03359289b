"""Uploads in parts at the API: they go on where they stand, for their system alone, and count only as signed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import func, select

from contracts.base.ids import new_id
from contracts.wire.body_references import body_reference
from gateway.doors.api import body_uploads
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.keeper.tasks.loose_bodies import LooseBodies
from gateway.vault import opaque_bodies, partial_bodies
from gateway.vault.attachments import PIECE
from security.http_signatures import HttpRequest, sign_request, verify_response
from tests.doors.api.client import BASE, Answer, World, ask
from tests.doors.api.test_api_bodies import UPLOAD, fetch, named, stated

DATA = os.urandom(PIECE) * 6 + b"the end"
PARTIAL = "application/partial-upload"


async def call(
    world: World, method: str, target: str, fields: dict[str, str], data: bytes = b"", **more: Any
) -> Answer:
    """A signed request. `changed`: fields after signing. `size`: of Content-Length. `chunks`: in which it comes."""
    system = more.get("system", "canh-bao")
    headers = {"authorization": f"Bearer {await world.bearer(system)}", **fields}
    request = HttpRequest(method, BASE + target, headers, b"")
    headers |= sign_request(request, world.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18))
    headers |= {"accept-language": "en", "content-length": str(more.get("size", len(data)))} | more.get("changed", {})
    certificate = world.identities[system].tls_der
    answer = await ask(world.app, method, target, headers, data, chunks=more.get("chunks", 7), certificate=certificate)
    if "signature" in answer.headers:
        key = world.gateway.sign.verify_key()
        verify_response(answer.status, answer.headers, answer.body, headers, key, time.time())
    return answer


async def begin(world: World, data: bytes = DATA, **more: Any) -> Answer:
    fields = {
        "content-type": "video/mp4",
        "upload-complete": "?0",
        "upload-length": str(more.pop("length", len(data))),
        "repr-digest": more.pop("digest", stated(data)),
    }
    fields |= more.pop("fields", {})
    return await call(world, "POST", more.pop("target", UPLOAD), fields, **more)


async def begun(world: World, data: bytes = DATA) -> str:
    answer = await begin(world, data)
    assert answer.status == 201, answer.body
    assert answer.headers["upload-offset"] == "0" and answer.headers["upload-complete"] == "?0"
    return answer.headers["location"]


async def add(world: World, address: str, at: int, data: bytes, last: bool = False, **more: Any) -> Answer:
    fields = {"content-type": PARTIAL, "upload-offset": str(at), "upload-complete": "?1" if last else "?0"}
    fields["content-digest"] = more.pop("digest", stated(data))
    return await call(world, "PATCH", address, fields | more.pop("fields", {}), data, **more)


async def state(world: World, address: str, **more: Any) -> tuple[int, str, str]:
    answer = await call(world, "HEAD", address, {}, **more)
    assert answer.body == b""
    return answer.status, answer.headers.get("upload-offset", ""), answer.headers.get("upload-complete", "")


def rows(world: World) -> list[str]:
    with world.engine.connect() as connection:
        found = connection.scalars(select(tables.vault.c.id))
        return sorted(each.partition("/")[2] for each in found if "/upload" in each or "/body" in each)


def nothing_stays(world: World) -> None:
    with world.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.opaque_body)) == 0
    assert rows(world) == [] and world.logged(opaque_bodies.RECEIVED) == [] and len(world.services.uploads) == 0


async def test_a_file_comes_in_parts_and_is_as_one_that_came_at_once(world: World) -> None:
    address = await begun(world)
    half = 3 * PIECE
    told = await add(world, address, 0, DATA[:half])
    assert (told.status, told.headers["upload-offset"], told.body) == (204, str(half), b"")
    assert await state(world, address) == (204, str(half), "?0")
    answer = await add(world, address, half, DATA[half:], last=True)
    assert answer.status == 201 and answer.headers["upload-complete"] == "?1", answer.body
    reference = body_reference(answer.json["reference"])
    assert reference is not None
    assert (reference.size, reference.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    (note,) = world.logged(opaque_bodies.RECEIVED)
    assert note["transfer"] == reference.body
    transfer, _ = await named(world, answer)
    assert (await fetch(world, transfer, reference.body, "dieu-hanh")).body == DATA
    assert {each for each in rows(world) if each.startswith("upload")} == {"upload", "upload-done"}
    assert len(world.services.uploads) == 0


async def test_whole_pieces_stay_of_a_part_that_breaks_off(world: World) -> None:
    address = await begun(world)
    with pytest.raises(IndexError):  # no answer: the caller has gone
        await add(world, address, 0, DATA[: 5 * PIECE + 99], True, size=len(DATA), digest=stated(DATA))
    assert await state(world, address) == (204, str(5 * PIECE), "?0")
    assert (await add(world, address, 5 * PIECE, DATA[5 * PIECE :], last=True)).status == 201


async def test_who_did_not_get_the_answer_is_told_it_again(world: World) -> None:
    address = await begun(world)
    first = await add(world, address, 0, DATA, last=True)
    assert await state(world, address) == (204, str(len(DATA)), "?1")
    again = await add(world, address, len(DATA), b"", last=True)
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["lgsp-receipt"] == first.headers["lgsp-receipt"]
    assert len(world.logged(opaque_bodies.RECEIVED)) == 1
    more = await add(world, address, 0, DATA, last=True)
    assert (more.status, more.json["code"]) == (409, "upload.offset")


async def test_what_is_whole_but_was_not_taken_is_taken_by_an_empty_part(world: World, monkeypatch: Any) -> None:
    address = await begun(world)
    taking = body_uploads.Upload.take

    async def dies(self: Any, coming: Any) -> Any:
        raise RuntimeError("the process dies")

    monkeypatch.setattr(body_uploads.Upload, "take", dies)
    assert (await add(world, address, 0, DATA, last=True)).status == 500
    monkeypatch.setattr(body_uploads.Upload, "take", taking)
    assert await state(world, address) == (204, str(len(DATA)), "?0")
    assert (await add(world, address, len(DATA), b"", last=True)).status == 201


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"length": (1 << 30) + 1}, 413, "body.too-large"),
        ({"length": 10**14}, 413, "body.too-large"),
        ({"length": 10**400}, 400, "upload.form"),
        ({"length": 0}, 400, "upload.form"),
        ({"length": "-1"}, 400, "upload.form"),
        ({"length": "01"}, 400, "upload.form"),
        ({"digest": ""}, 400, "signature.malformed"),
        ({"digest": "sha-256=x"}, 400, "signature.algorithm"),
        ({"digest": "md5=:AAAA:"}, 400, "signature.algorithm"),
        ({"digest": stated(DATA, "sha512")}, 400, "signature.algorithm"),
        ({"fields": {"upload-complete": "?1"}}, 400, "upload.form"),
        ({"fields": {"upload-complete": "yes"}}, 400, "upload.form"),
        ({"changed": {"upload-length": "5"}}, 401, "signature.wrong"),
        ({"changed": {"repr-digest": stated(b"other")}}, 401, "signature.wrong"),
        ({"fields": {"content-type": "video"}}, 415, "body.media-type"),
        ({"target": UPLOAD.replace("submitAlert", "nothing")}, 409, "body.not-for-operation"),
        ({"system": "thuc-phan"}, 403, "access.no-grant"),
    ],
)
async def test_a_beginning_that_is_not_in_its_form(world: World, change: Any, status: int, code: str) -> None:
    answer = await begin(world, **change)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    nothing_stays(world)


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    ("at", "data", "last", "change", "status", "code"),
    [
        (0, DATA[:PIECE], False, {}, 409, "upload.offset"),
        (2 * PIECE, DATA[:PIECE], False, {}, 409, "upload.offset"),
        (10**14, DATA[:PIECE], False, {}, 409, "upload.offset"),
        (PIECE, DATA[: PIECE + 1], False, {}, 400, "upload.form"),
        (PIECE, b"", False, {}, 400, "upload.form"),
        (PIECE, DATA[: 2 * PIECE], True, {}, 400, "upload.form"),
        (PIECE, DATA, True, {}, 413, "body.too-large"),
        (PIECE, DATA[:PIECE], False, {"size": 10**30}, 413, "body.too-large"),
        (PIECE, DATA[:PIECE], False, {"fields": {"upload-offset": "1e6"}}, 400, "upload.form"),
        (PIECE, DATA[:PIECE], False, {"fields": {"content-type": "video/mp4"}}, 415, "body.media-type"),
        (PIECE, DATA[:PIECE], False, {"changed": {"upload-offset": "0"}}, 401, "signature.wrong"),
        (PIECE, DATA[:PIECE], False, {"changed": {"upload-complete": "?1"}}, 401, "signature.wrong"),
        (PIECE, DATA[:PIECE], False, {"changed": {"transfer-encoding": "chunked"}}, 400, "upload.form"),
        (PIECE, DATA[:PIECE], False, {"system": "dieu-hanh"}, 404, "upload.unknown"),
        (PIECE, DATA[:PIECE], False, {"system": "thuc-phan"}, 404, "upload.unknown"),
    ],
)
async def test_a_part_that_does_not_fit_changes_nothing(
    world: World, at: int, data: bytes, last: bool, change: Any, status: int, code: str
) -> None:
    address = await begun(world)
    assert (await add(world, address, 0, DATA[:PIECE])).status == 204
    answer = await add(world, address, at, data, last, **change)
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert await state(world, address) == (204, str(PIECE), "?0")
    assert (await add(world, address, PIECE, DATA[PIECE:], last=True)).status == 201


@pytest.mark.attack("access: by a file")
async def test_to_others_an_upload_does_not_exist(world: World) -> None:
    address = await begun(world)
    for system in ("dieu-hanh", "thuc-phan", "do-thi"):
        for where in (address, f"/uploads/{new_id()}"):
            assert (await state(world, where, system=system))[0] == 404
            given = await call(world, "DELETE", where, {}, system=system)
            assert (given.status, given.json["code"]) == (404, "upload.unknown")
    assert (await state(world, address))[0] == 204
    for where in ("/uploads/..", "/uploads/x", f"{address}.0", f"{address}/part", f"{address}%2Fupload.0"):
        assert (await state(world, where))[0] in (400, 404), where


@pytest.mark.attack("large bodies")
async def test_a_part_or_a_whole_that_is_not_as_signed_ends_the_upload(world: World) -> None:
    address = await begun(world)
    part = await add(world, address, 0, DATA[:PIECE], digest=stated(b"other"))
    assert (part.status, part.json["code"]) == (400, "signature.digest-mismatch")
    assert (await state(world, address))[0] == 404
    nothing_stays(world)
    answer = await begin(world, digest=stated(DATA + b"!"))
    whole = await add(world, answer.headers["location"], 0, DATA, last=True)
    assert (whole.status, whole.json["code"]) == (400, "signature.digest-mismatch")
    nothing_stays(world)


@pytest.mark.attack("large bodies")
async def test_two_parts_at_one_offset_do_not_mix(world: World) -> None:
    address = await begun(world)
    answers = await asyncio.gather(*(add(world, address, 0, DATA[: 4 * PIECE]) for _ in range(2)))
    assert sorted(each.status for each in answers) == [204, 409]
    assert await state(world, address) == (204, str(4 * PIECE), "?0")
    ends = await asyncio.gather(*(add(world, address, 4 * PIECE, DATA[4 * PIECE :], last=True) for _ in range(2)))
    told = [each.json for each in ends if each.status == 201]
    assert told and {each.status for each in ends} <= {201, 409}
    assert (await add(world, address, len(DATA), b"", last=True)).json == told[0]


@pytest.mark.attack("large bodies")
async def test_two_that_end_an_upload_get_one_file(world: World) -> None:
    address = await begun(world)
    assert (await add(world, address, 0, DATA[: 6 * PIECE])).status == 204
    partial_bodies.add(world.engine, address.rpartition("/")[2], 6 * PIECE, (last_row(world, address),))
    ends = await asyncio.gather(*(add(world, address, len(DATA), b"", last=True) for _ in range(2)))
    assert [each.status for each in ends] == [201, 201] and ends[0].json == ends[1].json
    assert len(world.logged(opaque_bodies.RECEIVED)) == 1


def last_row(world: World, address: str) -> Any:
    return partial_bodies.sealed_part(world.vault, address.rpartition("/")[2], 6, b"the end", time.time(), "m24")


@pytest.mark.attack("large bodies")
async def test_uploads_that_only_begin_count_against_their_agency(world: World) -> None:
    world.services.settings = replace(world.services.settings, opaque_bodies=2 * len(DATA))
    one, other = await begun(world), await begun(world)
    full = await begin(world)
    assert (full.status, full.json["code"]) == (429, "body.waiting")
    assert (await call(world, "DELETE", one, {})).status == 204
    assert (await begin(world)).status == 201
    assert (await add(world, other, 0, DATA, last=True)).status == 201  # it takes the place of its upload


@pytest.mark.attack("large bodies")
async def test_a_full_disk_keeps_what_came(world: World, monkeypatch: Any) -> None:
    address = await begun(world)
    assert (await add(world, address, 0, DATA[:PIECE])).status == 204
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10))
    for answer in (await add(world, address, PIECE, DATA[PIECE:], last=True), await begin(world)):
        assert (answer.status, answer.json["code"]) == (503, "body.no-room") and "retry-after" in answer.headers
    monkeypatch.undo()
    assert (await add(world, address, PIECE, DATA[PIECE:], last=True)).status == 201


@pytest.mark.attack("large bodies")
async def test_a_part_that_never_ends_is_cut_off(world: World, monkeypatch: Any) -> None:
    """The caller sends two pieces, then nothing more, and stays."""
    address = await begun(world)
    monkeypatch.setattr(body_uploads, "SILENT", 0.2)

    async def silent(self: Any) -> Any:
        return await asyncio.Event().wait()

    app, sent = world.app, [DATA[: 2 * PIECE + 5]]

    async def stays(scope: Any, receive: Any, send: Any) -> None:
        async def slow() -> Any:
            return {"type": "http.request", "body": sent.pop(), "more_body": True} if sent else await silent(None)

        await app(scope, slow if scope["method"] == "PATCH" else receive, send)

    world.app = stays
    slow = await add(world, address, 0, DATA, last=True)
    assert (slow.status, slow.json["code"]) == (408, "body.too-slow")
    assert await state(world, address) == (204, str(2 * PIECE), "?0") and len(world.services.uploads) == 0


async def test_an_upload_has_its_time_to_become_whole(world: World) -> None:
    address = await begun(world)
    assert (await add(world, address, 0, DATA[:PIECE])).status == 204
    clock = [time.time() + opaque_bodies.GRACE + 1]
    job = LooseBodies(world.engine, cast(Any, lock_of(world.engine)), lambda: clock[0], 24.0)
    assert await job.run_once(world.lease) == 0 and rows(world) == ["upload", "upload.0"]
    clock[0] += 24 * 3600
    assert await job.run_once(world.lease) == 1
    nothing_stays(world)
    assert world.logged(opaque_bodies.REMOVED) == []

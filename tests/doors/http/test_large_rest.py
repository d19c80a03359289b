"""Documents with large files by REST: they arrive octet by octet, in bounded memory, and are kept once; what is not as
it was signed goes nowhere and leaves nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.audit.evidence.reading import Reading, view_body
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.sandbox.standins.base import serving
from gateway.vault.salting import unpack
from gateway.vault.vault import Vault
from tests.attacks import raw
from tests.doors.http.town import MIB, PATH, Town, forget_peak, memory, noise

pytestmark = pytest.mark.server
FILES = [400_000, 70_000, 10]


def rows(town: Town, query: str, *of: object) -> list[Any]:
    base = sqlite3.connect(f"file:{town.settings.data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        return base.execute(query, of).fetchall()
    finally:
        base.close()


def loose(town: Town) -> list[Any]:
    """Pieces of large contents without a transfer."""
    return rows(
        town,
        "select id from vault where id like '%/attachments%' and substr(id, 1, 36) not in (select id from transfer)",
    )


def nothing_stays(town: Town) -> None:
    assert loose(town) == [] and os.listdir(town.settings.run / "bodies") == []


def kept(town: Town, transfer: str, part: str) -> bytes:
    """A part of the evidence, as a person gets it."""
    engine = open_engine(town.settings.database_url)
    vault = Vault(town.settings.vault_keys, at_rest=Keyring(town.settings).at_rest)
    reading = Reading(transfer=transfer, part=part, reason="to compare with what came", actor="test", now=time.time())
    try:
        with view_body(engine, vault, reading) as view:
            data = b"".join(view.pieces)
            assert len(data) == view.size
            return data
    finally:
        engine.dispose()


def entry(town: Town, transfer: str, phase: str) -> dict[str, Any]:
    for table in ("log_pending", "log_entry"):
        for (found,) in rows(town, f"select entry from {table} where transfer = ? and phase = ?", transfer, phase):
            value: dict[str, Any] = json.loads(found)
            return value
    raise AssertionError(f"no {phase} of {transfer}")


def proved(town: Town, transfer: str, body: bytes) -> None:
    """What is kept of it is what came and what went out, and the log has the digests of that."""
    salt, request = unpack(kept(town, transfer, "request"))
    assert request.partition(b"\r\n\r\n")[2] == body
    told = entry(town, transfer, "intent")["in"]
    assert told == {"sha256": hashlib.sha256(salt + body).hexdigest(), "size": len(body)}
    forwarded = kept(town, transfer, "forwarded")
    assert hashlib.sha256(forwarded.partition(b"\r\n\r\n")[2]).digest() == town.records.came[-1]
    told = entry(town, transfer, "outcome")["sent"]
    assert told == {"sha256": hashlib.sha256(salt + forwarded).hexdigest(), "size": len(forwarded)}


def test_fifty_megabytes_in_bounded_memory(large: Town) -> None:
    files = [noise(30 * MIB), noise(18 * MIB + 7)]
    document = large.with_files(files)
    client = large.client()
    assert client.call("POST", PATH, large.with_files([b"x"])).ok  # what a first call makes is there
    assert client.call("POST", PATH, large.with_files([noise(MIB)])).ok
    (door,) = large.doors()
    forget_peak(door)
    before = memory(door, "VmRSS")
    body = json.dumps(document).encode()
    answer = client.send(client.prepare("POST", PATH, body))
    assert answer.ok, answer.body
    assert memory(door, "VmHWM") - before <= 64 * MIB
    assert large.records.documents[-1] == document
    transfer = answer.headers["lgsp-transfer"]
    ((size,),) = rows(large, "select sum(length(sealed)) from vault where id like ?", f"{transfer}/%")
    assert size < sum(map(len, files)) * 1.02  # once, not once for each body that holds it
    proved(large, transfer, body)
    nothing_stays(large)


def test_smaller_ones_are_proved_too(large: Town) -> None:
    client = large.client()
    body = json.dumps(large.with_files([noise(size) for size in FILES]), ensure_ascii=False).encode()
    answer = client.send(client.prepare("POST", PATH, body))
    assert answer.ok, answer.body
    proved(large, answer.headers["lgsp-transfer"], body)


def test_a_repeat_gets_the_first_answer_and_keeps_nothing(large: Town) -> None:
    client, document = large.client(), large.with_files([noise(size) for size in FILES])
    body = json.dumps(document).encode()
    sent = [client.send(client.prepare("POST", PATH, body, message_id="large-1")) for _ in range(2)]
    assert sent[0].ok and sent[1].body == sent[0].body
    other = json.dumps(large.with_files([noise(size) for size in FILES])).encode()
    refused = client.send(client.prepare("POST", PATH, other, message_id="large-1"))
    assert (refused.status, (refused.problem or {})["code"]) == (409, "message.other-body")
    nothing_stays(large)


def answered(town: Town, transfer: str) -> None:
    """Waits until a transfer that was put aside has its answer."""
    until = time.monotonic() + 60
    while not rows(town, "select 1 from transfer where id = ? and state = 'answered'", transfer):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_waits_is_sent_as_it_came(large: Town) -> None:
    client = large.client()
    document = large.with_files([noise(size) for size in FILES]) | {"subject": "away"}
    body = json.dumps(document).encode()
    answer = client.send(client.prepare("POST", PATH, body))
    assert answer.status == 202, answer.body
    with serving(large.away):
        transfer = answer.headers["lgsp-transfer"]
        answered(large, transfer)
        assert large.away.documents == [document]
    forwarded = kept(large, transfer, "forwarded")
    assert hashlib.sha256(forwarded.partition(b"\r\n\r\n")[2]).digest() == large.away.came[-1]
    salt, request = unpack(kept(large, transfer, "request"))
    assert request.endswith(body)
    told = entry(large, transfer, "outcome")["sent"]
    assert told == {"sha256": hashlib.sha256(salt + forwarded).hexdigest(), "size": len(forwarded)}


def _late(body: bytes) -> bytes:
    at = body.index(b'"data": "') + 300_000  # long after the first parts were taken
    return body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]


def _junk(at: int) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        first = document["attachments"][0]
        first["data"] = first["data"][:at] + "!" + first["data"][at + 1 :]

    return change


def _loose_bits(document: dict[str, Any]) -> None:
    document["attachments"][0]["data"] = base64.b64encode(noise(400_001)).decode()[:-3] + "B=="


def _elsewhere(document: dict[str, Any]) -> None:
    document["subject"] = base64.b64encode(noise(300_000)).decode()


def _many(document: dict[str, Any]) -> None:
    first = document["attachments"][0]
    data = base64.b64encode(noise(40_000)).decode()
    document["attachments"] = [first | {"contentId": f"n-{n}", "data": data} for n in range(200)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_junk(1_000), "body.too-large"),
        (_junk(300_000), "body.too-large"),
        (_loose_bits, "body.too-large"),
        (_elsewhere, "message.invalid"),
        (_many, "body.too-large"),  # each below what is lifted
    ],
)
def test_what_cannot_be_lifted_is_refused(large: Town, change: Callable[[dict[str, Any]], None], code: str) -> None:
    document = large.with_files([noise(size) for size in FILES])
    change(document)
    client, came = large.client(), len(large.records.came)
    answer = client.send(client.prepare("POST", PATH, json.dumps(document).encode()))
    assert (answer.problem or {}).get("code") == code, answer.body[:500]
    assert len(large.records.came) == came
    nothing_stays(large)


def test_a_body_that_is_not_the_signed_one(large: Town) -> None:
    client, came = large.client(), len(large.records.came)
    body = json.dumps(large.with_files([noise(size) for size in FILES])).encode()
    answer = client.send(client.prepare("POST", PATH, body, mutate=lambda headers, raw: (headers, _late(raw))))
    assert (answer.problem or {}).get("code") == "signature.digest-mismatch", answer.body[:500]
    assert len(large.records.came) == came
    nothing_stays(large)


def test_over_the_limit_of_large_bodies(large: Town) -> None:
    client = large.client()
    sent = raw.of(client.prepare("POST", PATH, b'{"a":1}'))
    sock = raw.connect(client.identity)
    sock.sendall(
        sent.replace(b"content-length: 7", b"content-length: 100000001", 1).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    )
    told, _ = raw.read_one(sock)
    assert told is not None and (told.status, told.code) == (413, "body.too-large")
    sock.close()


def _chunked(sent: bytes, size: int) -> bytes:
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    return b"\r\n".join((*lines, b"Transfer-Encoding: chunked")) + b"\r\n\r\n" + coded + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [10, 100_000, 600_000])
def test_a_body_of_unknown_length(large: Town, size: int) -> None:
    """Small, costly, or large: the same message as with a length."""
    client, document = large.client(), large.with_files([noise(size)])
    sock = raw.connect(client.identity)
    sock.sendall(_chunked(raw.of(client.prepare("POST", PATH, json.dumps(document).encode())), 50_000))
    told, _ = raw.read_one(sock)
    assert told is not None and told.status == 200, told
    assert large.records.documents[-1] == document
    sock.close()
    nothing_stays(large)


def test_an_upload_that_breaks_off(large: Town) -> None:
    client, came = large.client(), len(large.records.came)
    sent = raw.of(client.prepare("POST", PATH, json.dumps(large.with_files([noise(4 * MIB)])).encode()))
    sock = raw.connect(client.identity)
    sock.sendall(sent[: len(sent) // 2])
    time.sleep(0.3)
    sock.close()
    assert client.call("POST", PATH, large.with_files([b"x"])).ok  # the door goes on
    assert len(large.records.came) == came + 1
    nothing_stays(large)


def test_a_killed_door_leaves_no_file(large: Town) -> None:
    """Neither a name nor a byte in clear: the file has no name, and the key died with the process."""
    client = large.client()
    mark = b"SECRET-OF-THE-DOCUMENT" * 3
    body = json.dumps(large.with_files([mark * 100_000])).encode()
    sock = raw.connect(client.identity)
    sent = raw.of(client.prepare("POST", PATH, body))
    sock.sendall(sent[: len(sent) - 1000])
    (door,) = large.doors()
    until = time.monotonic() + 30
    while not any("bodies" in os.readlink(each) for each in _descriptors(door)):
        assert time.monotonic() < until
        time.sleep(0.02)
    found = b"".join(_contents(each) for each in _descriptors(door) if "bodies" in os.readlink(each))
    assert found and base64.b64encode(mark)[:60] not in found and mark not in found
    os.kill(door, signal.SIGKILL)
    sock.close()
    assert os.listdir(large.settings.run / "bodies") == []
    while True:
        assert time.monotonic() < until + 60
        try:
            assert large.client().call("POST", PATH, large.with_files([noise(300_000)])).ok
            break
        except Exception:
            time.sleep(0.3)
    nothing_stays(large)


def _descriptors(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    return [f"{folder}/{each}" for each in os.listdir(folder) if os.path.lexists(f"{folder}/{each}")]


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()

"""Encrypted documents with large files: in bounded memory and kept once, as signed ones. What does not open goes
nowhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.sample_client.identity import encryption_of
from gateway.sample_client.jose import seal
from gateway.sandbox.standins.base import serving
from tests.doors.http.test_large_rest import FILES, answered, entry, kept, nothing_stays, proved, rows
from tests.doors.http.test_large_soap import OPERATION, stranger_agrees
from tests.doors.http.town import MIB, SEALED, Town, forget_peak, memory, noise
from tests.size import FULL

pytestmark = pytest.mark.server
CONTRACT = "sealed-document/v1"
_VALUE = re.compile(rb"(<xenc:EncryptedData.*<xenc:CipherValue>)([^<]+)(</)", re.DOTALL)


def send(town: Town, document: dict[str, Any], **how: Any) -> Any:
    client = town.client()
    prepared = client.prepare("POST", SEALED, json.dumps(document).encode(), encrypt_it=True, **how)
    return prepared, client.send(prepared)


def test_fifty_megabytes_in_bounded_memory(large: Town) -> None:
    size = 50 * MIB if FULL else 12 * MIB
    document = large.with_files([noise(size * 3 // 5), noise(size * 2 // 5 + 7)])
    client = large.client()
    first = send(large, large.with_files([b"x"]))[1]
    assert first.ok, first.body  # what a first call makes is there
    assert send(large, large.with_files([noise(MIB)]))[1].ok
    (door,) = large.doors()
    prepared = client.prepare("POST", SEALED, json.dumps(document).encode(), encrypt_it=True)
    forget_peak(door)
    before = memory(door, "VmRSS")
    answer = client.send(prepared)
    assert answer.ok, answer.body
    grown = memory(door, "VmHWM") - before
    print(f"a document of {size:,} bytes: the door grew by {grown:,} bytes")
    assert grown <= (64 * MIB if FULL else 32 * MIB)
    assert large.records.documents[-1] == document
    transfer = answer.headers["lgsp-transfer"]
    ((stored,),) = rows(large, "select sum(length(sealed)) from vault where id like ?", f"{transfer}/%")
    assert stored < size * 1.02  # once, not once for each body and layer that holds it
    proved(large, transfer, prepared.body)
    assert kept(large, transfer, "request-opened").count(b".") == 2
    stranger_agrees(large, transfer)
    nothing_stays(large)


@pytest.mark.parametrize("subject", ["soap", "mtom"])
def test_a_provider_gets_it_by_soap(large: Town, subject: str) -> None:
    """In the envelope, whatever its endpoint says: its Body is encrypted."""
    files = [noise(size) for size in FILES]
    records = large.soap if subject == "soap" else large.mtom
    answer = send(large, large.with_files(files) | {"subject": subject})[1]
    assert answer.ok, answer.body
    assert records.files[-1] == files and records.kinds[-1] == "text/xml"
    transfer = answer.headers["lgsp-transfer"]
    forwarded = kept(large, transfer, "forwarded")
    assert hashlib.sha256(forwarded.partition(b"\r\n\r\n")[2]).digest() == records.came[-1]
    assert entry(large, transfer, "outcome")["sent"]["size"] == len(forwarded)
    stranger_agrees(large, transfer)


def test_a_repeat_that_is_encrypted_again(large: Town) -> None:
    document = large.with_files([noise(size) for size in FILES])
    sent = [send(large, document, message_id="sealed-1") for _ in range(2)]
    assert sent[0][0].body != sent[1][0].body
    assert sent[0][1].ok and sent[1][1].body == sent[0][1].body
    refused = send(large, large.with_files([noise(400_000)]), message_id="sealed-1")[1]
    assert (refused.status, (refused.problem or {})["code"]) == (409, "message.other-body")
    nothing_stays(large)


def test_what_waits_is_encrypted_when_it_is_sent(large: Town) -> None:
    document = large.with_files([noise(size) for size in FILES]) | {"subject": "away"}
    before = len(large.away.documents)
    prepared, answer = send(large, document)
    assert answer.status == 202, answer.body
    with serving(large.away):
        transfer = answer.headers["lgsp-transfer"]
        answered(large, transfer)
        assert large.away.documents[before:] == [document]
    forwarded = kept(large, transfer, "forwarded")
    assert hashlib.sha256(forwarded.partition(b"\r\n\r\n")[2]).digest() == large.away.came[-1]
    assert kept(large, transfer, "request").endswith(prepared.body)
    assert entry(large, transfer, "outcome")["sent"]["size"] == len(forwarded)


Change = Callable[[bytes], bytes]


def _swapped(body: bytes) -> bytes:
    return body[:200_000] + body[300_000:400_000] + body[200_000:300_000] + body[400_000:]


def _cut(body: bytes) -> bytes:
    *parts, text, tag = body.split(b".")
    return b".".join((*parts, text[: len(text) // 8 * 4], tag))


def _flipped(at: int) -> Change:
    def change(body: bytes) -> bytes:
        place = at % len(body)
        return body[:place] + (b"B" if body[place : place + 1] == b"A" else b"A") + body[place + 1 :]

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_flipped(400_000), "body.decryption"),
        (_flipped(-10), "body.decryption"),  # of the tag
        (_swapped, "body.decryption"),
        (_cut, "body.decryption"),
        (lambda body: body[:400_000], "body.encryption-profile"),
        (lambda body: body + b".AAAA", "body.encryption-profile"),
        (lambda body: body[:300_000] + b"=" + body[300_001:], "body.encryption-profile"),
        (lambda body: b"." * 400_000, "body.encryption-profile"),
    ],
)
def test_what_does_not_open_goes_nowhere(large: Town, change: Change, code: str) -> None:
    """Each is rightly signed as it travels: the encryption alone is wrong."""
    client, came = large.client(), len(large.records.came)
    body = change(sealed(large, large.with_files([noise(size) for size in FILES])))
    answer = client.send(client.prepare("POST", SEALED, body, content_type="application/jose"))
    assert (answer.problem or {}).get("code") == code, answer.body[:500]
    assert len(large.records.came) == came
    nothing_stays(large)


def sealed(town: Town, document: dict[str, Any], media_type: str = "application/json") -> bytes:
    who = town.client().identity
    keys = encryption_of(who)
    return seal(json.dumps(document).encode(), media_type, who.signer, keys.gateway_key_id, keys.gateway)


def test_what_opens_and_is_not_a_document_with_files(large: Town) -> None:
    client, came = large.client(), len(large.records.came)
    junk, text = (
        large.with_files([noise(size) for size in FILES]),
        large.with_files([b"x"]) | {"subject": "x " * 75_000},
    )
    junk["attachments"][0]["data"] = "!" + junk["attachments"][0]["data"][1:]
    other = sealed(large, large.with_files([noise(400_000)]), "text/plain")
    clear = json.dumps(large.with_files([noise(400_000)])).encode()
    for body, media, code in (
        (sealed(large, junk), "application/jose", "body.too-large"),
        (sealed(large, text), "application/jose", "body.too-large"),
        (other, "application/jose", "body.media-type"),
        (clear, "application/json", "body.not-encrypted"),
    ):
        answer = client.send(client.prepare("POST", SEALED, body, content_type=media))
        assert (answer.problem or {}).get("code") == code, answer.body[:500]
    assert len(large.records.came) == came
    nothing_stays(large)


# --- SOAP -------------------------------------------------------------------------------------------------------------


def value_changed(change: Change) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    """Changes the text of the CipherValue of the Body."""

    def mutate(sent: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
        changed = _VALUE.sub(lambda match: match[1] + change(match[2]) + match[3], content)
        return sent, changed

    return mutate


def in_lines(value: bytes) -> bytes:
    return b"\r\n" + b"\n".join(value[at : at + 76] for at in range(0, len(value), 76)) + b"\n"


@pytest.mark.parametrize("change", [bytes, in_lines], ids=["one line", "many lines"])
@pytest.mark.parametrize("subject", ["soap", "by REST"])
def test_by_soap_in_bounded_memory(large: Town, subject: str, change: Change) -> None:
    whole = (subject, change) == ("soap", bytes)
    size = 50 * MIB if whole and FULL else 12 * MIB if whole else MIB
    files = [noise(size * 3 // 5), noise(size * 2 // 5 + 7)]
    client = large.soap_client()
    how: dict[str, Any] = {"encrypt_it": True, "mutate": value_changed(change)}
    first = client.call(CONTRACT, OPERATION, large.sealed_element(large.with_files([noise(MIB)])), **how)
    assert first.ok, first.raw[:2000]
    document = large.with_files(files) | {"subject": subject}
    prepared = client.prepare(CONTRACT, OPERATION, large.sealed_element(document), **how)
    (door,) = large.doors()
    forget_peak(door)
    before = memory(door, "VmRSS")
    raw = client.exchange(prepared)
    answer = client.judge(prepared, raw)
    assert answer.ok, raw.body[:2000]
    grown = memory(door, "VmHWM") - before
    print(f"a document of {size:,} bytes by SOAP: the door grew by {grown:,} bytes")
    assert grown <= (64 * MIB if FULL else 32 * MIB)
    transfer, records = raw.headers["lgsp-transfer"], large.soap if subject == "soap" else large.records
    if subject == "soap":
        assert large.soap.files[-1] == files
    else:
        assert large.records.documents[-1]["attachments"] == document["attachments"]
    ((stored,),) = rows(large, "select sum(length(sealed)) from vault where id like ?", f"{transfer}/%")
    assert stored < size * 1.02 + 100_000
    body = prepared.request.body
    assert kept(large, transfer, "request").endswith(b"\r\n\r\n" + body)
    assert entry(large, transfer, "intent")["in"]["size"] == len(body)
    assert hashlib.sha256(kept(large, transfer, "forwarded").partition(b"\r\n\r\n")[2]).digest() == records.came[-1]
    nothing_stays(large)
    if whole:
        stranger_agrees(large, transfer)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_flipped(400_000), "body.decryption"),
        (_flipped(-10), "body.decryption"),  # of the tag
        (_swapped, "body.decryption"),
        (lambda value: value[: len(value) // 8 * 4], "body.decryption"),
        (lambda value: value[4_000:400_000] + value[:4_000] + value[400_000:], "body.decryption"),
        (lambda value: value[:300_000] + b"!" + value[300_001:], "body.too-large"),  # no base64: it counts as text
        (lambda value: value[:300_000] + b"<a/>" + value[300_000:], "body.too-large"),
        (lambda value: value[:40_000], "body.decryption"),
    ],
)
def test_an_envelope_that_does_not_open_goes_nowhere(large: Town, change: Change, code: str) -> None:
    came = len(large.soap.came)
    document = large.with_files([noise(size) for size in FILES]) | {"subject": "soap"}
    answer = large.soap_client().call(
        CONTRACT, OPERATION, large.sealed_element(document), encrypt_it=True, mutate=value_changed(change)
    )
    assert answer.fault is not None and answer.fault.problem == code, answer.raw[:2000]
    assert len(large.soap.came) == came
    nothing_stays(large)


def test_an_envelope_in_clear_or_whose_body_is_not_signed(large: Town) -> None:
    came = len(large.soap.came)
    element = large.sealed_element(large.with_files([noise(size) for size in FILES]) | {"subject": "soap"})
    clear = large.soap_client().call(CONTRACT, OPERATION, element)
    assert clear.fault is not None and clear.fault.problem == "body.not-encrypted"
    thin = large.soap_client().call(CONTRACT, OPERATION, element, encrypt_it=True, leave_out=("body",))
    assert thin.fault is not None and thin.fault.problem == "signature.not-covering", thin.raw[:2000]
    assert len(large.soap.came) == came
    nothing_stays(large)

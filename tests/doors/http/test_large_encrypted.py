"""Encrypted documents with large files: in bounded memory and kept once, as signed ones. What does not open goes
nowhere."""

from __future__ import annotations

import base64
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
from tests.doors.http.test_large_soap import packed as in_clear
from tests.doors.http.town import MIB, SEALED, Town, forget_peak, memory, noise
from tests.size import FULL

pytestmark = pytest.mark.server
CONTRACT = "sealed-document/v1"
_VALUE = re.compile(rb"(<xenc:EncryptedData.*<xenc:CipherValue>)([^<]+)(</)", re.DOTALL)


def send(town: Town, document: dict[str, Any], **how: Any) -> Any:
    client = town.client()
    prepared = client.prepare("POST", SEALED, json.dumps(document).encode(), encrypt_it=True, **how)
    return prepared, client.send(prepared)


@pytest.mark.full
def test_fifty_megabytes_in_bounded_memory(large: Town) -> None:
    size = 50 * MIB if FULL else 12 * MIB
    document = large.with_files([noise(size * 3 // 5), noise(size * 2 // 5 + 7)])
    client = large.client()
    first = send(large, large.with_files([b"x"]))[1]
    assert first.ok, first.body  # what a first call makes is there
    assert send(large, document)[1].ok  # what SQLite keeps of pages is full: 8 MB for each connection
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


def packed(
    *more: tuple[str, bytes], value: Callable[[bytes], bytes] = bytes
) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    """The octets of both CipherValues as parts, as WSS4J stores them; then `more` parts (Content-ID, content)."""

    def mutate(sent: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
        parts: list[tuple[str, bytes]] = []

        def include(match: re.Match[bytes]) -> bytes:
            octets = base64.b64decode(match[2])
            parts.append((f"c{len(parts)}@x", value(octets) if len(octets) > 1_000 else octets))
            link = f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{parts[-1][0]}"/>'
            return match[1] + link.encode() + match[3]

        root = re.sub(rb"(<xenc:CipherValue>)([^<]+)(</)", include, content)
        assert len(parts) == 2
        text = b"--b0\r\nContent-Type: application/xop+xml\r\nContent-ID: <root@x>\r\n\r\n" + root
        for name, octets in (*parts, *more):
            text += f"\r\n--b0\r\nContent-Type: application/octet-stream\r\nContent-ID: <{name}>\r\n\r\n".encode()
            text += octets
        kind = 'multipart/related; boundary="b0"; type="application/xop+xml"; start="<root@x>"; start-info="text/xml"'
        return {**sent, "content-type": kind}, text + b"\r\n--b0--\r\n"

    return mutate


@pytest.mark.sampled("*-many lines")
@pytest.mark.parametrize(
    "change",
    [value_changed(bytes), value_changed(in_lines), packed()],
    ids=["one line", "many lines", "a package"],
)
@pytest.mark.parametrize("subject", ["soap", "by REST"])
def test_by_soap_in_bounded_memory(large: Town, subject: str, change: Any, request: pytest.FixtureRequest) -> None:
    whole = subject == "soap" and "many lines" not in request.node.name
    size = 50 * MIB if whole and FULL else 12 * MIB if whole else MIB
    files = [noise(size * 3 // 5), noise(size * 2 // 5 + 7)]
    client = large.soap_client()
    how: dict[str, Any] = {"encrypt_it": True, "mutate": change}
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


@pytest.mark.parametrize("sizes", [[10], [20_000, 3_000], [60_000, 60_000]])
def test_an_encrypted_package_of_any_size(large: Town, sizes: list[int]) -> None:
    files = [noise(size) for size in sizes]
    client, document = large.soap_client(), large.with_files(files) | {"subject": "soap"}
    prepared = client.prepare(CONTRACT, OPERATION, large.sealed_element(document), encrypt_it=True, mutate=packed())
    raw = client.exchange(prepared)
    assert client.judge(prepared, raw).ok, raw.body[:2000]
    assert large.soap.files[-1] == files
    transfer = raw.headers["lgsp-transfer"]
    assert kept(large, transfer, "request").endswith(b"\r\n\r\n" + prepared.request.body)
    stranger_agrees(large, transfer)
    nothing_stays(large)


_CLEAR = ("clear@x", b"a file in clear " * 1_000)


@pytest.mark.parametrize(
    ("mutate", "code"),
    [
        (packed(_CLEAR), "mtom.malformed"),
        (packed(("clear@x", b"short")), "mtom.malformed"),
        (packed(("c1@x", b"a second of that name")), "mtom.malformed"),
        (packed(value=lambda octets: octets[:-1] + bytes([octets[-1] ^ 1])), "body.decryption"),
        (packed(value=lambda octets: octets[1:]), "body.decryption"),
        (packed(value=lambda octets: octets[:5_000]), "body.decryption"),
        (packed(value=lambda octets: b""), "body.encryption-profile"),
    ],
)
def test_an_encrypted_package_that_is_none_goes_nowhere(large: Town, mutate: Any, code: str) -> None:
    came = len(large.soap.came)
    element = large.sealed_element(large.with_files([noise(size) for size in FILES]) | {"subject": "soap"})
    answer = large.soap_client().call(CONTRACT, OPERATION, element, encrypt_it=True, mutate=mutate)
    assert answer.fault is not None and answer.fault.problem == code, answer.raw[:2000]
    assert len(large.soap.came) == came
    nothing_stays(large)


def test_files_beside_an_encrypted_body_are_named_by_nothing_in_it(large: Town) -> None:
    """A file in clear that the header names is no part of an encrypted package, nor is a package in clear."""
    came = len(large.soap.came)
    element = large.sealed_element(large.with_files([noise(size) for size in FILES]) | {"subject": "soap"})
    link = b'<x><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:clear@x"/></x></soap:Header>'

    def named(sent: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
        return packed(_CLEAR)(sent, content.replace(b"</soap:Header>", link, 1))

    beside = large.soap_client().call(CONTRACT, OPERATION, element, encrypt_it=True, mutate=named)
    assert beside.fault is not None and beside.fault.problem == "mtom.malformed", beside.raw[:2000]
    clear = large.soap_client().call(CONTRACT, OPERATION, element, mutate=in_clear)
    assert clear.fault is not None and clear.fault.problem == "body.not-encrypted", clear.raw[:2000]
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

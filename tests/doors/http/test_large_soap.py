"""Documents with large files by SOAP, in the envelope and beside it (MTOM): in bounded memory, signed as a whole."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway.sample_client.wssec import SOAP, SOAP12
from tests import commandline
from tests.doors.http.test_large_rest import entry, kept, nothing_stays, rows
from tests.doors.http.town import MIB, Town, forget_peak, memory, noise
from tests.size import FULL

pytestmark = pytest.mark.server
CONTRACT, OPERATION = "official-document/v1", "sendDocument"
FILES = [400_000, 70_000, 10]
Sent = tuple[dict[str, str], bytes]
_DATA = re.compile(rb"(<(?:\w+:)?data>)([A-Za-z0-9+/=]+)(</)")


def packed(
    sent: dict[str, str], content: bytes, change: Callable[[list[tuple[str, bytes]]], object] = lambda parts: None
) -> Sent:
    """The signed envelope as a package: each file a part. `change` gets the parts (head, content), the root first."""
    parts: list[tuple[str, bytes]] = []

    def include(match: re.Match[bytes]) -> bytes:
        name = f"f{len(parts)}@x"
        parts.append((f"Content-Type: application/pdf\r\nContent-ID: <{name}>", base64.b64decode(match[2])))
        link = f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{name}"/>'.encode()
        return match[1] + link + match[3]

    root = _DATA.sub(include, content)
    media = sent["content-type"].partition(";")[0]
    head = f'Content-Type: application/xop+xml; charset=UTF-8; type="{media}"\r\nContent-ID: <root@x>'
    parts.insert(0, (head, root))
    change(parts)
    boundary = secrets.token_hex(16)
    body = b"".join(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
    _, _, action = sent["content-type"].partition("action=")
    content_type = f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<root@x>"; '
    content_type += f'start-info="{media}"' + (f"; action={action}" if action else "")
    return {**sent, "content-type": content_type}, body + f"--{boundary}--\r\n".encode()


def inline(sent: dict[str, str], content: bytes) -> Sent:
    return sent, content


@pytest.mark.parametrize("subject", ["soap", "mtom", "by REST"])
@pytest.mark.parametrize("how", [inline, packed])
def test_files_in_bounded_memory(large: Town, how: Callable[..., Sent], subject: str) -> None:
    whole = (how, subject) in ((inline, "soap"), (packed, "mtom"))
    size = 48 if whole and FULL else 8 if whole else 1
    files = [noise(size * MIB // 2), noise(size * MIB // 2 + 7)]
    client, document = large.soap_client(), large.with_files([noise(MIB)]) | {"subject": subject}
    assert client.call(CONTRACT, OPERATION, large.element(document), mutate=how).ok
    (door,) = large.doors()
    prepared = client.prepare(
        CONTRACT, OPERATION, large.element(large.with_files(files) | {"subject": subject}), mutate=how
    )
    forget_peak(door)
    before = memory(door, "VmRSS")
    raw = client.exchange(prepared)
    answer = client.judge(prepared, raw)
    assert answer.ok, raw.body[:2000]
    assert memory(door, "VmHWM") - before <= (64 * MIB if FULL else 32 * MIB)
    transfer = raw.headers["lgsp-transfer"]
    if subject == "by REST":
        came = large.records.came[-1]
        got = [base64.b64decode(each["data"]) for each in large.records.documents[-1]["attachments"]]
    else:
        records = large.soap if subject == "soap" else large.mtom
        came, got = records.came[-1], records.files[-1]
        assert records.kinds[-1] == ("text/xml" if subject == "soap" else "multipart/related")
    assert got == files
    ((size,),) = rows(large, "select sum(length(sealed)) from vault where id like ?", f"{transfer}/%")
    assert size < sum(map(len, files)) * 1.02
    salt, _, request = kept(large, transfer, "request").partition(b"\r\n")
    body = prepared.request.body
    assert request.partition(b"\r\n\r\n")[2] == body
    salted = bytes.fromhex(salt.partition(b": ")[2].decode()) + body
    assert entry(large, transfer, "intent")["in"] == {"sha256": hashlib.sha256(salted).hexdigest(), "size": len(body)}
    assert hashlib.sha256(kept(large, transfer, "forwarded").partition(b"\r\n\r\n")[2]).digest() == came
    nothing_stays(large)
    if whole:
        stranger_agrees(large, transfer)


def stranger_agrees(town: Town, transfer: str) -> None:
    """The package of evidence holds, for the checker that comes with it."""
    folder = town.settings.data / f"package-{transfer}"
    words = ("audit", "package", transfer, str(folder), "--reason", "to look at the evidence of it")
    data = ("--data", str(town.settings.data))
    made = commandline.forked(*words, *data)
    assert made.code == 0, made.out + made.err
    command = [sys.executable, "-m", "gateway.audit.verifier.check", str(folder)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0 and checked.stdout.count("signature: signed with") == 3, checked.stdout


@pytest.mark.parametrize("soap", [SOAP, SOAP12])
def test_a_small_package_and_both_versions(large: Town, soap: str) -> None:
    document = large.with_files([b"small", noise(100)]) | {"subject": "mtom"}
    answer = large.soap_client(soap).call(CONTRACT, OPERATION, large.element(document), mutate=packed)
    assert answer.ok, answer.raw[:2000]
    assert [each[:5] for each in large.mtom.files[-1]][0] == b"small"


def _twice(parts: list[tuple[str, bytes]]) -> None:
    parts.append(parts[-1])


def _missing(parts: list[tuple[str, bytes]]) -> None:
    parts.pop()


def _unnamed(parts: list[tuple[str, bytes]]) -> None:
    parts.append(("Content-Type: application/pdf\r\nContent-ID: <more@x>", b"carried along"))


def _shown_twice(parts: list[tuple[str, bytes]]) -> None:
    parts[0] = (parts[0][0], parts[0][1].replace(b"cid:f1@x", b"cid:f0@x"))


def _nested(parts: list[tuple[str, bytes]]) -> None:
    parts[1] = (parts[1][0].replace("application/pdf", "multipart/mixed; boundary=x"), parts[1][1])


def _coded(parts: list[tuple[str, bytes]]) -> None:
    parts[1] = (parts[1][0] + "\r\nContent-Transfer-Encoding: base64", base64.b64encode(parts[1][1]))


def _other_contents(parts: list[tuple[str, bytes]]) -> None:
    parts[1] = (parts[1][0], parts[1][1][:-1] + bytes([parts[1][1][-1] ^ 1]))


def _swapped(parts: list[tuple[str, bytes]]) -> None:
    parts[1], parts[2] = (parts[1][0], parts[2][1]), (parts[2][0], parts[1][1])


def _outside(parts: list[tuple[str, bytes]]) -> None:
    parts[0] = (parts[0][0], parts[0][1].replace(b"cid:f0@x", b"http://127.0.0.1/f"))


def _many(parts: list[tuple[str, bytes]]) -> None:
    parts += [(f"Content-ID: <n{n}@x>", b"") for n in range(1_100)]


def _long_head(parts: list[tuple[str, bytes]]) -> None:
    parts[1] = (parts[1][0] + "\r\nX-Long: " + "a" * 5_000, parts[1][1])


def _big_root(parts: list[tuple[str, bytes]]) -> None:
    parts[0] = (parts[0][0], parts[0][1] + b" " * 300_000)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_twice, "mtom.malformed"),
        (_missing, "mtom.malformed"),
        (_unnamed, "mtom.malformed"),
        (_shown_twice, "mtom.malformed"),
        (_nested, "mtom.malformed"),
        (_coded, "mtom.malformed"),
        (_other_contents, "signature.digest-mismatch"),
        (_swapped, "signature.digest-mismatch"),
        (_outside, "mtom.malformed"),
        (_many, "mtom.malformed"),
        (_long_head, "mtom.malformed"),
        (_big_root, "body.too-large"),
    ],
)
def test_what_is_not_one_package_is_refused(large: Town, change: Callable[..., Any], code: str) -> None:
    document = large.with_files([noise(size) for size in FILES]) | {"subject": "mtom"}
    came = len(large.mtom.came)
    answer = large.soap_client().call(
        CONTRACT, OPERATION, large.element(document), mutate=lambda sent, raw: packed(sent, raw, change)
    )
    assert answer.fault is not None and answer.fault.problem == code, answer.raw[:2000]
    assert len(large.mtom.came) == came
    nothing_stays(large)


@pytest.mark.parametrize("cut", [1, 10, 100_000])
def test_a_package_without_its_end(large: Town, cut: int) -> None:
    def cut_off(sent: dict[str, str], content: bytes) -> Sent:
        sent, body = packed(sent, content)
        return sent, body[:-4][:-cut]

    document = large.with_files([noise(size) for size in FILES]) | {"subject": "mtom"}
    answer = large.soap_client().call(CONTRACT, OPERATION, large.element(document), mutate=cut_off)
    assert answer.fault is not None and answer.fault.problem == "mtom.malformed", answer.raw[:2000]
    nothing_stays(large)


def test_contents_that_were_changed_after_signing(large: Town) -> None:
    def late(sent: dict[str, str], content: bytes) -> Sent:
        at = content.index(b"data>") + 300_000
        return sent, content[:at] + (b"A" if content[at : at + 1] != b"A" else b"B") + content[at + 1 :]

    document = large.with_files([noise(size) for size in FILES]) | {"subject": "soap"}
    came = len(large.soap.came)
    answer = large.soap_client().call(CONTRACT, OPERATION, large.element(document), mutate=late)
    assert answer.fault is not None and answer.fault.problem == "signature.digest-mismatch"
    assert len(large.soap.came) == came
    nothing_stays(large)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n        "])
def test_base64_with_line_breaks(large: Town, end: str) -> None:
    """As encoders of MIME and formatters of XML write it: signed so, kept so octet by octet, sent on without them."""
    files = [noise(300_000), noise(100)]
    document = large.with_files(files) | {"subject": "soap"}
    element = large.element(document)
    for data in element.iter("{*}data"):
        lines = [data.text[at : at + 76] for at in range(0, len(data.text), 76)]
        data.text = end.replace("\r\n", "\n").join(["", *lines, ""])

    def breaks(sent: dict[str, str], content: bytes) -> Sent:
        """The parser gives \\n for \\r\\n, so the signature holds."""
        return sent, content.replace(b"\n", b"\r\n") if end == "\r\n" else content

    client = large.soap_client()
    prepared = client.prepare(CONTRACT, OPERATION, element, mutate=breaks)
    raw = client.exchange(prepared)
    assert client.judge(prepared, raw).ok, raw.body[:2000]
    assert large.soap.files[-1] == files
    transfer, body = raw.headers["lgsp-transfer"], prepared.request.body
    salt, _, request = kept(large, transfer, "request").partition(b"\r\n")
    assert body.count(end.encode()) > 5_000 and request.partition(b"\r\n\r\n")[2] == body
    salted = bytes.fromhex(salt.partition(b": ")[2].decode()) + body
    assert entry(large, transfer, "intent")["in"] == {"sha256": hashlib.sha256(salted).hexdigest(), "size": len(body)}
    ((size,),) = rows(large, "select sum(length(sealed)) from vault where id like ?", f"{transfer}/%")
    assert size < sum(map(len, files)) + 20_500  # once, without its base64; with the heads of a trace
    stranger_agrees(large, transfer)

"""Packages of evidence made by an attacker: nothing passes as proven that is not, and each has a bounded verdict.

The package here is a small one of its own log, signed by the caller, so that no instance runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.audit.verifier.check import check, main
from gateway.audit.verifier.findings import Findings
from gateway.audit.verifier.messages import read_http
from gateway.audit.verifier.reading import MOST_BYTES, MOST_FILES, Unreadable, read_package
from gateway.sample_client import httpsig
from gateway.sample_client.audit import leaf_hash
from gateway.sample_client.fields import InnerList, Item
from gateway.sample_client.signing import Signer
from security.transparency.checkpoint import Checkpoint, NoteKey, proof_text, sign
from tests.attacks.growing import check_growth
from tests.contracts.base.test_visible import UNSEEN

Files = dict[str, bytes]
AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TARGET = "https://lgsp.example/field-report/v1/requests"
BODY = b'{"description":"a lamp"}'


class Made:
    """A package that holds, and what is trusted."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "phan-anh")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.not_valid_before(AT - timedelta(1)).not_valid_after(AT + timedelta(1))
        certificate = builder.serial_number(7).sign(key, hashes.SHA256())
        self.authorities = certificate.public_bytes(Encoding.PEM)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.signer = Signer.from_pem("phan-anh.sign-1", secret, self.authorities)
        self._log = Ed25519PrivateKey.generate()
        self.vkey = NoteKey.make("log.example", self._log.public_key()).text()
        salt = b"0123456789abcdef"
        stated = {"sha256": hashlib.sha256(salt + BODY).hexdigest(), "size": len(BODY)}
        caller = {"system": "phan-anh", "key": self.signer.key_id}
        entry = {"kind": "intent", "transfer": "t", "at": AT.isoformat(), "caller": caller, "in": stated}
        raw = json.dumps(entry).encode()
        note = sign(Checkpoint("log.example", 1, leaf_hash(raw)), self._log, "log.example")
        self.files: Files = {
            "entries/000000000-intent.json": raw,
            "entries/000000000-intent.tlog-proof": proof_text(0, [], note).encode(),
            "log/checkpoint": note.encode(),
            "log/log.vkey": self.vkey.encode(),
            "messages/salt": salt.hex().encode(),
            "messages/request.http": self.request({"host": "lgsp.example", "content-type": "application/json"}),
            "certificates/phan-anh.sign-1.crt": self.authorities,
            "certificates/authorities.pem": self.authorities,
        }

    def request(self, headers: dict[str, str], last: str = "") -> bytes:
        headers = headers | {"content-digest": httpsig.digest_header(BODY)}
        created = int(AT.timestamp())
        headers |= httpsig.sign_request(
            httpsig.Message(headers, "POST", TARGET), self.signer, created=created, expires=created + 60, nonce="A" * 24
        )
        lines = [f"POST {TARGET} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + last + "\r\n\r\n").encode() + BODY

    def check(self, files: Files) -> Findings:
        return check(named(files), self.vkey, self.authorities)


def named(files: Files) -> Files:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {"format": "lgsp-package/1", "transfer": "t", "missing": {}, "files": digests}
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def told(found: Findings) -> str:
    return "\n".join([*(f"{each['ok']} {each['name']}: {each['detail']}" for each in found.checks), *found.notes])


@pytest.mark.attack("evidence")
def test_it_says_which_part_of_a_request_is_proven(made: Made) -> None:
    found = made.check(made.files)
    assert found.ok, told(found)
    assert "True messages/request.http: its body: as logged in intent" in told(found)
    head = "covered by the signature: the request line, host, content-type, content-digest, signature-input, signature"
    assert head in told(found) and "so they prove nothing" not in told(found)


@pytest.mark.attack("evidence")
@pytest.mark.parametrize(
    "line",
    [
        "x-forwarded-for: 203.0.113.9",
        "accept: text/xml",
        "prefer: respond-async",
        "cookie: a=b",
        "user-agent: other",
        "date: Tue, 24 Nov 2026 03:00:00 GMT",
        "content-length: 5",
        "lgsp-approved-by: somebody",
        "transfer-encoding: chunked",
    ],
)
def test_a_line_that_nobody_wrote_does_not_pass(made: Made, line: str) -> None:
    request = made.files["messages/request.http"].replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1)
    found = made.check(made.files | {"messages/request.http": request})
    name = line.partition(":")[0]
    assert not found.ok and f"lines that the gateway does not keep of a request: {name}" in told(found)


@pytest.mark.attack("evidence")
@pytest.mark.parametrize("line", ["soapaction: urn:approve", "lgsp-certificate-status: sign; good", "host: other"])
def test_a_line_that_is_kept_and_not_signed_is_named(made: Made, line: str) -> None:
    request = made.files["messages/request.http"].replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1)
    found = made.check(made.files | {"messages/request.http": request})
    assert f"so they prove nothing: {line.partition(':')[0]}" in told(found)


@pytest.mark.attack("evidence")
def test_a_second_signature_is_not_taken_for_the_first(made: Made) -> None:
    request = made.files["messages/request.http"].replace(b"signature: sig1=", b"signature: sig0=:AA==:, sig1=")
    assert "so they prove nothing: signature" in told(made.check(made.files | {"messages/request.http": request}))


@pytest.mark.attack("evidence")
@pytest.mark.parametrize("line", ["a b: c", "no colon", " folded", "accept: a\nx: b", "x\x00: b"])
def test_a_head_that_two_readers_would_read_differently(made: Made, line: str) -> None:
    request = made.files["messages/request.http"].replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1)
    assert not made.check(made.files | {"messages/request.http": request}).ok


# --- bounds ---


@pytest.mark.attack("zip")
def test_a_small_archive_that_unpacks_into_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("p/messages/answer.json", "w", force_zip64=True) as out:
            for _ in range(MOST_BYTES // 1_048_576 + 1):
                out.write(bytes(1_048_576))
    tracemalloc.start()
    with pytest.raises(Unreadable):
        read_package(tmp_path / "p.zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.attack("zip")
def test_more_files_than_a_package_has(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as file:
        for number in range(MOST_FILES + 1):
            file.writestr(f"p/{number}", b"")
    with pytest.raises(Unreadable):
        read_package(tmp_path / "p.zip")


@pytest.mark.attack("zip")
@pytest.mark.parametrize("name", ["manifest.json", "entries/000000000-intent.json", "certificates/authorities.pem"])
def test_a_file_that_would_be_read_into_far_more(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"[" + b"[]," * 2_000_000 + b"[]]")
    with pytest.raises(Unreadable):
        read_package(tmp_path)


@pytest.mark.attack("files that end the process")
def test_a_file_that_never_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(Unreadable):
        read_package(tmp_path)


@pytest.mark.attack("quadratic input")
def test_repeated_lines_of_a_head_are_read_in_linear_time() -> None:
    check_growth(read_http, lambda size: b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * size + b"\r\n")


@pytest.mark.attack("quadratic input")
def test_a_signature_that_names_each_member_of_a_field_is_read_in_linear_time() -> None:
    def make(size: int) -> tuple[InnerList, httpsig.Message]:
        field = ", ".join(f"k{number}=1" for number in range(size))
        items = tuple(Item("x", (("key", f"k{number}"),)) for number in range(size))
        return InnerList(items), httpsig.Message({"x": field}, "GET", TARGET)

    check_growth(lambda given: httpsig.base(*given), make)


@pytest.mark.attack("XML: DOCTYPE, entities, XInclude, depth")
def test_an_envelope_of_millions_of_elements_is_not_parsed(made: Made) -> None:
    body = b"<Envelope>" + b"<a/>" * 2_000_001 + b"</Envelope>"
    request = b"POST / HTTP/1.1\r\ncontent-type: text/xml\r\n\r\n" + body
    found = made.check(made.files | {"messages/request.http": request})
    assert "tags and attributes" in told(found)


# --- a verdict for each input ---


DEEP = b"[" * 200_000
MANIFESTS: list[bytes] = [
    DEEP,
    b'{"format":"lgsp-package/1","transfer":"t","files":' + DEEP,
    *(
        b'{"format":"lgsp-package/1","transfer":"t","files":%s,"missing":%s}' % pair
        for pair in ((b"[]", b"{}"), (b"{}", b"[]"), (b'{"a":1}', b"3"), (b'["a"]', b"{}"), (b"null", b"null"))
    ),
    *(b"[]", b"1", b"null", b'"x"', b"{}", b'{"format":[]}', b'{"format":"\\ud800"}', b"\xff"),
]


@pytest.mark.attack("JSON: fields twice, NaN, depth, numbers")
@pytest.mark.parametrize("manifest", MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_manifest_in_odd_shape_gets_a_verdict_in_json(
    made: Made, manifest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(made.files | {"manifest.json": manifest}, tmp_path, capsys)["ok"] is False


ENTRIES: list[Callable[[dict[str, Any]], Any]] = [
    lambda entry: [],
    lambda entry: entry | {"kind": ["intent"]},
    lambda entry: entry | {"at": "x"},
    lambda entry: entry | {"at": []},
    lambda entry: entry | {"at": "0001-01-01T00:00:00"},
    lambda entry: entry | {"caller": []},
    lambda entry: entry | {"caller": {"certificate": 3}},
    lambda entry: entry | {"in": []},
    lambda entry: entry | {"in": {"sha256": [], "size": {}}},
]


@pytest.mark.attack("JSON: fields twice, NaN, depth, numbers")
@pytest.mark.parametrize("change", ENTRIES, ids=range(len(ENTRIES)))
def test_an_entry_in_odd_shape_gets_a_verdict_in_json(
    made: Made, change: Callable[[dict[str, Any]], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log of the attacker's own, whose key comes from the package."""
    raw = json.dumps(change(json.loads(made.files["entries/000000000-intent.json"]))).encode()
    log = Ed25519PrivateKey.generate()
    note = sign(Checkpoint("log.example", 1, leaf_hash(raw)), log, "log.example")
    files = made.files | {
        "entries/000000000-intent.json": raw,
        "entries/000000000-intent.tlog-proof": proof_text(0, [], note).encode(),
        "log/checkpoint": note.encode(),
        "log/log.vkey": NoteKey.make("log.example", log.public_key()).text().encode(),
    }
    assert verdict(named(files), tmp_path, capsys)["ok"] is False


def verdict(files: Files, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    code = main([str(folder), "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == 1
    return result


@pytest.mark.attack("text that speaks to a terminal")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_no_name_or_reason_of_a_package_speaks_to_the_terminal(
    made: Made, as_json: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = "\x1b[2J\x1b]0;x\x07\u202e\u009b\nthe package holds"
    files = named(made.files | {f"{forged.replace('/', '')}.txt": b"", "messages/answer.json": b"{}"})
    files["manifest.json"] = files["manifest.json"].replace(b'"missing": {}', b'"missing": {"answer": "\\u001b[2J"}')
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert main([str(tmp_path), *as_json]) == 1
    shown = capsys.readouterr().out
    assert not [each for each in UNSEEN if each != "\n" and each in shown]
    assert "the package holds" not in [line.strip() for line in shown.splitlines()]

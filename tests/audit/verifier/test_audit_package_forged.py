"""A package of one transfer that was altered, with and without care: the stranger finds it."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from examples.story import World
from gateway.audit.verifier.check import check
from gateway.audit.verifier.findings import Findings
from gateway.audit.verifier.messages import read_http
from gateway.audit.verifier.reading import Unreadable, read_package
from gateway.sample_client import httpsig
from gateway.sample_client.fields import read_dictionary
from gateway.sample_client.signing import Signer
from tests.audit.packaging import REASON, Files, reasons, wrong

pytestmark = pytest.mark.server


def _altered(part: str, change: Callable[[bytes], bytes], ending: str = "") -> Callable[[Files], None]:
    def alter(files: Files) -> None:
        name = next(each for each in files if each.startswith(part) and each.endswith(ending))
        files[name] = change(files[name])

    return alter


def _last_digit(data: bytes) -> bytes:
    return data[:-2] + (b"0" if data[-2:-1] != b"0" else b"1") + data[-1:]


def _signature_off(data: bytes) -> bytes:
    head, parted, body = data.partition(b"\r\n\r\n")
    return (
        b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"signature")) + parted + body
    )


def _other_hash(data: bytes) -> bytes:
    lines = data.split(b"\n")
    lines[2] = bytes(reversed(lines[2][:-1])) + lines[2][-1:]
    return b"\n".join(lines)


def _other_target(data: bytes) -> bytes:
    return data.replace(b"/field-report/v1/requests", b"/field-report/v1/requestz", 1)


ATTACKS: dict[str, tuple[Callable[[Files], None], str]] = {
    "an entry's byte": (
        _altered(
            "entries/0", lambda data: data.replace(b'"status":200', b'"status":201').replace(b'"v":1', b'"v":2', 1)
        ),
        "entries/",
    ),
    "a proof's hash": (_altered("entries/", _other_hash, ".tlog-proof"), "entries/"),
    "the checkpoint's size": (
        _altered("log/checkpoint", lambda data: data.replace(b"\n", b"\n1", 1)),
        "log/checkpoint",
    ),
    "the request's body": (_altered("messages/request.http", _last_digit), "messages/request.http"),
    "the request's target": (_altered("messages/request.http", _other_target), "messages/request.http, signature"),
    "the request's signature taken off": (
        _altered("messages/request.http", _signature_off),
        "messages/request.http, signature",
    ),
    "the provider's answer": (_altered("messages/provider-answer.http", _last_digit), "messages/provider-answer.http"),
    "the answer": (
        _altered("messages/answer.json", lambda data: data.replace(b"open", b"shut")),
        "messages/answer.json",
    ),
    "the salt": (
        _altered("messages/salt", lambda data: (b"11" if data[:2] == b"00" else b"00") + data[2:]),
        "messages/answer.json",
    ),
}


@pytest.mark.attack("evidence")
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("careful", [False, True], ids=["", "manifest made anew"])
def test_what_was_done_to_it_is_found(files: Files, trusted: tuple[str, bytes], name: str, careful: bool) -> None:
    attack, at = ATTACKS[name]
    before = dict(files)
    attack(files)
    assert files != before
    if careful:
        _manifest_anew(files)
    found = check(files, *trusted)
    assert not found.ok and any(each.startswith(at) for each in wrong(found)), wrong(found)
    assert ("manifest" in wrong(found)) is not careful


def _manifest_anew(files: Files) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"
    }
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.attack("evidence")
def test_another_log_of_the_same_name(files: Files, trusted: tuple[str, bytes]) -> None:
    """Whoever forges a whole package brings a key of its own: it is not the one that was given."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from security.transparency.checkpoint import NoteKey

    other = NoteKey.make(trusted[0].partition("+")[0], Ed25519PrivateKey.generate().public_key()).text()
    found = check(files, other, trusted[1])
    assert wrong(found) == {"log/checkpoint"}


@pytest.mark.attack("evidence")
def test_an_authority_of_ones_own(files: Files, trusted: tuple[str, bytes], world: World) -> None:
    """With other authorities than those that issued them, no certificate counts, and so no signature."""
    from security.pki.authority import make_root

    root = make_root("Stranger", 1_795_000_000.0)
    found = check(files, trusted[0], root.pem)
    assert {"messages/request.http, signature", "the caller's TLS certificate"} <= wrong(found)


@pytest.mark.attack("evidence")
@pytest.mark.parametrize("part", ["intent", "outcome"])
def test_an_entry_left_out_with_all_that_speaks_of_it(files: Files, trusted: tuple[str, bytes], part: str) -> None:
    for name in [
        each for each in files if each.endswith((f"-{part}.json", f"-{part}.tlog-proof", f"-{part}.json.spicy"))
    ]:
        del files[name]
    if (
        part == "outcome"
        # as if there had been none: that is told, and what went out and came back is nothing that the package's entries
        # know
    ):
        found = _anew(files, trusted)
        assert {"messages/forwarded.http", "messages/provider-answer.http", "messages/answer.json"} <= wrong(found)
        for name in ("forwarded.http", "provider-answer.http", "answer.json"):
            del files[f"messages/{name}"]
        assert any("holds no outcome" in note for note in _anew(files, trusted).notes)
        return
    del files["messages/request.http"]
    assert "entries" in wrong(_anew(files, trusted))


@pytest.mark.attack("evidence")
@pytest.mark.parametrize(
    "name",
    [
        "messages/answer-to-citizen.json",
        "messages/in-doubt-forwarded.http",
        "messages/canonical.json",
        "log/other",
        "note.txt",
    ],
)
def test_what_would_pass_for_checked(files: Files, trusted: tuple[str, bytes], name: str) -> None:
    files[name] = b'{"forged":true}'
    assert wrong(_anew(files, trusted)) == {"names"}


@pytest.mark.attack("evidence")
def test_an_opened_form_beside_what_was_never_encrypted(files: Files, trusted: tuple[str, bytes]) -> None:
    files["messages/forwarded.opened"] = read_http(files["messages/forwarded.http"]).body
    assert "messages/forwarded.http, signature" in wrong(_anew(files, trusted))


@pytest.mark.attack("evidence")
def test_signed_by_another_system_under_the_callers_key_id(
    files: Files, trusted: tuple[str, bytes], world: World
) -> None:
    """The forger has a certificate of the same authority, and gives its file the name of the caller's key."""
    thief = world.identities / "y-te"
    request = read_http(files["messages/request.http"])
    target = request.target + "?forged=1"
    headers = {
        name: value
        for name, value in request.headers.items()
        if not name.startswith(("signature", "lgsp-certificate-status"))
    }
    created = int(read_dictionary(request.headers["signature-input"])["sig1"].param("created"))  # type: ignore[union-attr,arg-type]
    key_id = (
        next(name for name in files if name.startswith("certificates/phan-anh.sign"))
        .removeprefix("certificates/")
        .removesuffix(".crt")
    )
    signer = Signer.from_pem(key_id, (thief / "sign.key").read_bytes(), (thief / "sign.crt").read_bytes())
    message = httpsig.Message(headers, request.method, target)
    headers |= httpsig.sign_request(message, signer, created=created, expires=created + 60, nonce="A" * 24)
    head = "\r\n".join(
        [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    )
    files["messages/request.http"] = head.encode("latin-1") + b"\r\n\r\n" + request.body
    files[f"certificates/{key_id}.crt"] = (thief / "sign.crt").read_bytes().split(b"-----END CERTIFICATE-----")[
        0
    ] + b"-----END CERTIFICATE-----\n"
    found = _anew(files, trusted)
    assert wrong(found) == {"messages/request.http, signature"}
    assert any("another certificate than the log names" in each["detail"] for each in found.checks)


@pytest.mark.attack("evidence")
def test_lists_of_an_authority_that_nobody_trusts(files: Files, trusted: tuple[str, bytes]) -> None:
    """It bears the true issuer's name, and takes back, or puts on, a revocation."""
    (issuer,) = {x509.load_der_x509_crl(data).issuer for name, data in files.items() if name == "certificates/sign.crl"}
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(issuer).issuer_name(issuer).public_key(key.public_key()).serial_number(7)
    )
    false = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1)).sign(key, hashes.SHA256())
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(now)
        .next_update(now + timedelta(1))
        .sign(key, hashes.SHA256())
    )
    files["certificates/authorities.pem"] += false.public_bytes(Encoding.PEM)
    files["certificates/zz.crl"] = crl.public_bytes(Encoding.DER)
    assert wrong(_anew(files, trusted)) == {"certificates/zz.crl"}
    for name in [each for each in files if each.endswith(".crl")]:
        del files[name]
    assert any("no list of its issuer" in note for note in _anew(files, trusted).notes), "without lists that is told"


@pytest.mark.attack("evidence")
@pytest.mark.parametrize(
    "names",
    [
        ("p/messages/answer.json", "p/messages/answer.json"),
        ("p/a", "q/a"),
        ("p/a", "p/../a"),
        ("p/a", "p/A"),
        ("p/a", "p\\b"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips_that_unpack_into_something_else(tmp_path: Path, names: tuple[str, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as file:
        for number, name in enumerate(names):
            file.writestr(name, str(number))
    with pytest.raises(Unreadable):
        read_package(tmp_path / "p.zip")


@pytest.mark.attack("evidence")
@pytest.mark.parametrize(
    "name", ["messages/salt", "certificates/sign.crl", "certificates/authorities.pem", "log/log.vkey", "manifest.json"]
)
@pytest.mark.parametrize("data", [None, b"", b"\xff\x00", b"{}"])
def test_whatever_is_broken_there_is_a_verdict(
    files: Files, trusted: tuple[str, bytes], name: str, data: bytes | None
) -> None:
    files.pop(name)
    if data is not None:
        files[name] = data
    if name != "manifest.json":
        _manifest_anew(files)
    check(files)
    found = check(files, *trusted)
    assert found.checks and (
        found.ok is False or name in ("log/log.vkey", "certificates/authorities.pem", "certificates/sign.crl")
    )


def _anew(files: Files, trusted: tuple[str, bytes]) -> Findings:
    _manifest_anew(files)
    return check(files, *trusted)


@pytest.mark.attack("evidence")
def test_killed_before_it_stands_it_is_in_the_log_all_the_same(
    world: World, packages: dict[str, Path], tmp_path: Path
) -> None:
    """The note is written before a body is opened: nothing lies on disk that the log does not know of."""
    transfer = json.loads(read_package(packages["query"])["manifest.json"])["transfer"]
    reason = f"{REASON} {os.urandom(4).hex()}"
    there = tmp_path / "there"
    there.write_text("a file in the way of the folder")
    found = world.lgsp(
        "audit", "package", transfer, str(there / "package"), "--reason", reason, "--data", str(world.data)
    )
    assert found["error"]["code"] == "not-written"
    assert reasons(world, transfer).count(reason) == 1


@pytest.mark.attack("evidence")
def test_a_message_left_out(files: Files, trusted: tuple[str, bytes]) -> None:
    del files["messages/provider-answer.http"]
    _manifest_anew(files)
    assert "messages/provider-answer.http" in wrong(check(files, *trusted))

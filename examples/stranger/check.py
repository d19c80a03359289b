"""Check a package of evidence (`lgsp audit package`) without the gateway: `python check.pyz FOLDER --vkey KEY --authorities FILE`.

What is looked at: each file against the manifest, each log entry by its proof up to the signed checkpoint, each message by the salted digest in its
entry, each message's signature by the sender's certificate at that time, each certificate by the authorities. Needs `cryptography`, and `lxml` for
SOAP; knows nothing of the house (RFC 6962, C2SP signed-note and tlog-proof, RFC 9421, WS-Security 1.1, RFC 5280).
Invariant: nothing counts as checked because the package says so. A key or an authority that comes from the package itself is named as such.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from examples.clients.audit import Checkpoint, LogKey, included, leaf_hash, read_checkpoint
from examples.clients.errors import ClientError
from examples.clients.signing import Verifier
from examples.stranger.messages import Http, NotSigned, read_http, signer_of

# which digest of the log's entries is of which message, and which part of it was digested
DIGESTS = {
    "in": ("request.http", "body"),
    "sent": ("forwarded.http", "all"),
    "back": ("provider-answer.http", "all"),
    "out": ("answer.json", "all"),
}


@dataclass(slots=True)
class Findings:
    """What was looked at; `note` is what a reader must know although nothing is wrong."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, ok: bool, detail: str = "") -> bool:
        self.checks.append({"name": name, "ok": ok, "detail": detail})
        return ok

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)


def read_package(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {str(each.relative_to(path).as_posix()): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}
    with zipfile.ZipFile(path) as file:
        return {each.filename.partition("/")[2]: file.read(each) for each in file.infolist() if not each.is_dir()}


def check(files: Mapping[str, bytes], vkey: str | None = None, authorities: bytes | None = None) -> Findings:
    """Everything, in order; what could not be looked at is a check that failed."""
    found = Findings()
    try:
        manifest = json.loads(files["manifest.json"])
        if manifest["format"] != "lgsp-package/1":
            raise ValueError(f"format {manifest['format']!r}")
        _files(found, files, manifest)
    except (KeyError, TypeError, ValueError) as wrong:
        found.add("manifest", False, f"cannot be read: {type(wrong).__name__}: {wrong}")
        return found
    if vkey is None:
        found.notes.append("the log's key was taken from the package itself: that proves only that the package agrees with itself")
    if authorities is None:
        found.notes.append("the authorities were taken from the package itself: ask the gateway's operator for theirs by another way")
    try:
        checkpoint = read_checkpoint(_text(files, "log/checkpoint"), LogKey.parse(vkey or _text(files, "log/log.vkey")))
    except (ClientError, KeyError, ValueError) as wrong:
        found.add("log/checkpoint", False, str(wrong))
        return found
    found.add("log/checkpoint", True, f"{checkpoint.origin}, {checkpoint.size} entries")
    entries = list(_entries(found, files, checkpoint, str(manifest["transfer"])))
    found.add("entries", bool(entries), f"{len(entries)} of transfer {manifest['transfer']}")
    _digests(found, files, entries, manifest.get("missing", {}))
    _signatures(found, files, entries, _certificates(found, files, authorities, entries))
    return found


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files[name].decode("utf-8")


def _files(found: Findings, files: Mapping[str, bytes], manifest: dict[str, Any]) -> None:
    named = manifest["files"]
    wrong = [name for name, digest in named.items() if name not in files or hashlib.sha256(files[name]).hexdigest() != digest]
    extra = sorted(set(files) - set(named) - {"manifest.json"})
    found.add(
        "manifest", not wrong and not extra, f"altered or missing: {wrong}; not named: {extra}" if wrong or extra else f"{len(named)} files"
    )


def _entries(found: Findings, files: Mapping[str, bytes], checkpoint: Checkpoint, transfer: str) -> Iterator[dict[str, Any]]:
    for name in sorted(each for each in files if each.startswith("entries/") and each.endswith(".json")):
        try:
            index, proof = _proof(_text(files, name.removesuffix(".json") + ".tlog-proof"), checkpoint)
            held = included(leaf_hash(files[name]), index, checkpoint.size, proof, checkpoint.root)
            entry = json.loads(files[name])
            ours = entry["transfer"] == transfer
        except (ClientError, KeyError, TypeError, ValueError) as wrong:
            found.add(name, False, f"its proof cannot be read: {type(wrong).__name__}: {wrong}")
            continue
        if found.add(name, held and ours, f"entry {index}" if held and ours else "it is not in the log" if ours else "of another transfer"):
            yield entry


def _proof(text: str, checkpoint: Checkpoint) -> tuple[int, Sequence[bytes]]:
    head, _, note = text.partition("\n\n")
    if note != checkpoint.note:
        raise ValueError("it leads to another checkpoint")
    lines = [line for line in head.split("\n") if line != "c2sp.org/tlog-proof@v1"]
    if not lines[0].startswith("index "):
        raise ValueError("no index")
    return int(lines[0][6:]), [base64.b64decode(line, validate=True) for line in lines[1:]]


def _digests(found: Findings, files: Mapping[str, bytes], entries: Sequence[dict[str, Any]], missing: Mapping[str, str]) -> None:
    """SHA-256(salt, bytes), as the entries of intent and outcome state it."""
    for entry in entries:
        for name, (file, part) in DIGESTS.items():
            stated = entry.get(name)
            if stated is None:
                continue
            data = files.get(f"messages/{file}")
            if data is None:
                why = missing.get(file.rpartition(".")[0])
                if why:
                    found.notes.append(f"{file} is not in the package: {why}; only its digest is in the log")
                else:
                    found.add(f"messages/{file}", False, "the log names it, and the package lacks it without saying why")
                continue
            if part == "body":
                http = read_http(data)
                data = http.body or http.target.partition("?")[2].encode()
            salt = bytes.fromhex(_text(files, "messages/salt").strip())
            fits = hashlib.sha256(salt + data).hexdigest() == stated["sha256"] and len(data) == stated["size"]
            found.add(f"messages/{file}", fits, f"as logged in {entry['kind']}" if fits else f"not what {entry['kind']} states")


# --- certificates ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """The certificates that hold: by key id, and by whose they are."""

    by_id: Mapping[str, Verifier]
    moment: float

    def by_thumbprint(self, mark: bytes) -> Verifier | None:
        return next((each for each in self.by_id.values() if each.thumbprint == mark), None)


def _certificates(found: Findings, files: Mapping[str, bytes], authorities: bytes | None, entries: Sequence[dict[str, Any]]) -> Known:
    moment = min((datetime.fromisoformat(entry["at"]).timestamp() for entry in entries), default=0.0)
    own = files.get("certificates/authorities.pem", b"")
    trusted = x509.load_pem_x509_certificates(authorities if authorities is not None else own)
    between = x509.load_pem_x509_certificates(own) if own else []
    revoked = _revoked(found, files, [*trusted, *between])
    good: dict[
        str, Verifier
    ] = {}  # one that does not hold is no fault of the package, unless somebody signed with it: then no key is found for it
    for name in sorted(each for each in files if each.startswith("certificates/") and each.endswith(".crt")):
        key_id = name.removeprefix("certificates/").removesuffix(".crt")
        try:
            certificate = x509.load_pem_x509_certificate(files[name])
            why = _why_not(certificate, trusted, between, moment, revoked)
        except ValueError as wrong:
            why, certificate = f"cannot be read: {wrong}", None
        if why or certificate is None:
            found.notes.append(f"{name}: {why}")
        else:
            good[key_id] = Verifier(key_id, certificate)
    return Known(good, moment)


def _revoked(found: Findings, files: Mapping[str, bytes], authorities: Sequence[x509.Certificate]) -> dict[tuple[x509.Name, int], float]:
    gone: dict[tuple[x509.Name, int], float] = {}
    for name in sorted(each for each in files if each.endswith(".crl")):
        crl = x509.load_der_x509_crl(files[name])
        issuer = next((each for each in authorities if each.subject == crl.issuer and crl.is_signature_valid(each.public_key())), None)  # type: ignore[arg-type]
        if found.add(
            name, issuer is not None, f"of {crl.last_update_utc:%Y-%m-%d %H:%M} UTC" if issuer else "not signed by an authority here"
        ):
            gone |= {(crl.issuer, each.serial_number): each.revocation_date_utc.timestamp() for each in crl}
    return gone


def _why_not(
    certificate: x509.Certificate,
    trusted: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
    moment: float,
    revoked: Mapping[tuple[x509.Name, int], float],
) -> str:
    at, here = datetime.fromtimestamp(moment, UTC), certificate
    for _ in range(8):
        if not here.not_valid_before_utc <= at <= here.not_valid_after_utc:
            return f"{here.subject.rfc4514_string()} was not in force on {at:%Y-%m-%d}"
        if revoked.get((here.issuer, here.serial_number), moment) < int(moment):  # lists name whole seconds
            return f"{here.subject.rfc4514_string()} was revoked before"
        if here in trusted:
            return ""
        issuer = next((each for each in (*trusted, *between) if each.subject == here.issuer and _issued(each, here)), None)
        if issuer is None or issuer == here:
            return f"{here.subject.rfc4514_string()} leads to no trusted authority"
        here = issuer
    return "its chain is too long"


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True


# --- signatures -----------------------------------------------------------------------------------------------------------


def _signatures(found: Findings, files: Mapping[str, bytes], entries: Sequence[dict[str, Any]], known: Known) -> None:
    intent = next((entry for entry in entries if "caller" in entry), {})
    caller = intent.get("caller", {})
    provider = next((entry["provider"] for entry in entries if entry.get("provider")), None)
    if (mark := caller.get("certificate")) is not None:
        channel = known.by_thumbprint(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        found.add(
            "the caller's TLS certificate", channel is not None, channel.key_id if channel is not None else "not here, or it does not hold"
        )
    senders = {"request": caller.get("system"), "forwarded": "gateway", "provider-answer": provider}
    forwarded: Http | None = None
    for part, system in senders.items():
        name = f"messages/{part}.http"
        if name not in files:
            continue
        try:
            message = read_http(files[name])
            opened = files.get(f"messages/{part}.opened")
            signer = signer_of(message, opened, known.by_id, known.by_thumbprint, known.moment, forwarded)
        except NotSigned as why:
            # A dropped file is known by its folder, an answer that was refused may bear no signature. What went out and came back is digested whole, so
            # nobody took one off; of a request only the body is.
            if part == "request" and intent.get("door") != "files" or part == "forwarded":
                found.add(f"{name}, signature", False, "it has none")
            found.notes.append(f"{name}: {why}")
            continue
        except (ClientError, ValueError, KeyError) as wrong:
            found.add(f"{name}, signature", False, str(wrong))
            continue
        if part == "forwarded":
            forwarded = message
        fits = signer.rpartition(".")[0] == system and (part != "request" or signer == caller.get("key"))
        holds = f"signed with {signer}, whose certificate leads to a trusted authority and was in force"
        found.add(f"{name}, signature", fits, holds if fits else f"signed with {signer}, and the log names {system}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check a package of evidence without the gateway. Exit code: 0 it holds, 1 it does not, 2 usage."
    )
    parser.add_argument("package", type=Path, help="the folder, or the zip file")
    parser.add_argument("--vkey", help="the log's verifier key, or a file that holds it, from a source that you trust")
    parser.add_argument("--authorities", type=Path, help="certificates (PEM) of the authorities that you trust")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    vkey = asked.vkey
    if vkey is not None and Path(vkey).is_file():
        vkey = Path(vkey).read_text("utf-8")
    try:
        files = read_package(asked.package)
        authorities = asked.authorities.read_bytes() if asked.authorities is not None else None
    except (OSError, zipfile.BadZipFile) as trouble:
        print(f"cannot be read: {trouble}", file=sys.stderr)
        return 2
    found = check(files, vkey, authorities)
    if asked.json:
        print(json.dumps({"ok": found.ok, "checks": found.checks, "notes": found.notes}, ensure_ascii=False))
    else:
        for each in found.checks:
            print(f"{'ok    ' if each['ok'] else 'WRONG '} {each['name']}: {each['detail']}")
        for note in found.notes:
            print(f"note   {note}")
        print("the package holds" if found.ok else "THE PACKAGE DOES NOT HOLD")
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())

"""Check a package of evidence without the gateway: `python check.pyz FOLDER --vkey KEY --authorities FILE`.

Checks each file against the manifest, each log entry by its proof up to the signed checkpoint, each message by the
salted digest in its entry, each signature by the sender's certificate at that time, and each certificate by the
authorities. Needs `cryptography`, and `lxml` for SOAP (RFC 6962, C2SP signed-note and tlog-proof, RFC 9421,
WS-Security 1.1, RFC 5280). Invariant: nothing counts as checked because the package says so. A key or an authority
that comes from the package itself is reported as such.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from gateway.audit.verifier import heads
from gateway.audit.verifier.certificates import Known, certificates_of, systems_of, unmark
from gateway.audit.verifier.findings import Findings, shown
from gateway.audit.verifier.messages import Http, NotLooked, NotSigned, read_http, signer_of, time_of
from gateway.audit.verifier.reading import Unreadable, read_package
from gateway.sample_client.audit import Checkpoint, LogKey, included, leaf_hash, read_checkpoint
from gateway.sample_client.errors import ClientError
from gateway.sample_client.signing import Verifier

# digest in the log's entries -> file of the message, and which part of it is digested
DIGESTS = {
    "in": ("request.http", "body"),
    "sent": ("forwarded.http", "whole"),
    "back": ("provider-answer.http", "whole"),
    "out": ("answer.json", "whole"),
}


_UNREADABLE = (ClientError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_KNOWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"(manifest\.json|README\.md|README\.vi\.md|check\.pyz|by-hand\.sh)",
        r"entries/[0-9]{9,}-[a-z0-9-]+\.(json|tlog-proof|json\.spicy)",
        r"log/(checkpoint|log\.vkey|checkpoint\.tsq|checkpoint\.tsr)",
        r"messages/(salt|answer\.json|(request|forwarded|provider-answer)\.(http|opened))",
        r"certificates/([A-Za-z0-9._-]+\.(crt|crl)|authorities\.pem|status\.json)",
        r"unproven/[a-z0-9#-]+\.(json|http)",
    )
)


def check(files: Mapping[str, bytes], vkey: str | None = None, authorities: bytes | None = None) -> Findings:
    """Check everything, in order. What could not be checked counts as failed."""
    findings = Findings()
    try:
        _check(findings, files, vkey, authorities)
    except Exception as wrong:  # whatever the package makes of this program, it does not hold
        findings.add("package", False, f"cannot be read: {type(wrong).__name__}: {wrong}")
    return findings


def _check(findings: Findings, files: Mapping[str, bytes], vkey: str | None, authorities: bytes | None) -> None:
    try:
        manifest = json.loads(files["manifest.json"])
        if manifest["format"] != "lgsp-package/1":
            raise ValueError(f"format {manifest['format']!r}")
        if not all(isinstance(manifest.get(name, {}), dict) for name in ("files", "missing")):
            raise ValueError("files and missing are objects")
        _files(findings, files, manifest)
    except _UNREADABLE as wrong:
        findings.add("manifest", False, f"cannot be read: {type(wrong).__name__}: {wrong}")
        return
    if vkey is None:
        findings.notes.append(
            "the log's key was taken from the package itself: that proves only that the package agrees with itself"
        )
    if authorities is None:
        findings.notes.append(
            "the authorities were taken from the package itself: ask the gateway's operator for theirs by another way"
        )
    try:
        checkpoint = read_checkpoint(_text(files, "log/checkpoint"), LogKey.parse(vkey or _text(files, "log/log.vkey")))
    except (ClientError, KeyError, ValueError) as wrong:
        findings.add("log/checkpoint", False, str(wrong))
        return
    findings.add("log/checkpoint", True, f"{checkpoint.origin}, {checkpoint.size} entries")
    entries = list(_entries(findings, files, checkpoint, str(manifest["transfer"])))
    kinds = [entry["kind"] for entry in entries]
    findings.add(
        "entries",
        "intent" in kinds or "refusal" in kinds,
        f"of transfer {manifest['transfer']}: {', '.join(kinds) or 'none'}",
    )
    if "intent" in kinds and "outcome" not in kinds:
        findings.notes.append(
            "the package holds no outcome: it had none when the package was made, or it was left out; the gateway's "
            "log knows"
        )
    _names(findings, files)
    _digests(findings, files, entries, manifest.get("missing", {}))
    _signatures(findings, files, entries, certificates_of(findings, files, authorities, entries))


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files[name].decode("utf-8")


def _files(findings: Findings, files: Mapping[str, bytes], manifest: dict[str, Any]) -> None:
    named = manifest["files"]
    wrong = [
        name for name, digest in named.items() if name not in files or hashlib.sha256(files[name]).hexdigest() != digest
    ]
    extra = sorted(set(files) - set(named) - {"manifest.json"})
    findings.add(
        "manifest",
        not wrong and not extra,
        f"altered or missing: {wrong[:9]}; not named: {extra[:9]}" if wrong or extra else f"{len(named)} files",
    )


def _names(findings: Findings, files: Mapping[str, bytes]) -> None:
    """Report files that no check covers: readers could take them for checked."""
    odd = [name for name in files if not any(pattern.fullmatch(name) for pattern in _KNOWN)]
    if odd:
        findings.add("names", False, f"no part of a package: {', '.join(sorted(odd)[:5])}")
    for name in sorted(each for each in files if each.startswith("unproven/")):
        findings.notes.append(f"{name}: the gateway's own word; no entry of the log covers it")
    if "log/checkpoint.tsr" in files:
        findings.notes.append(
            "log/checkpoint.tsr: a time-stamp, which is not looked at here: openssl ts -verify (README.md)"
        )


def _entries(
    findings: Findings, files: Mapping[str, bytes], checkpoint: Checkpoint, transfer: str
) -> Iterator[dict[str, Any]]:
    for name in sorted(each for each in files if each.startswith("entries/") and each.endswith(".json")):
        try:
            index, proof = _proof(_text(files, name.removesuffix(".json") + ".tlog-proof"), checkpoint)
            held = included(leaf_hash(files[name]), index, checkpoint.size, proof, checkpoint.root)
            entry = json.loads(files[name])
            ours = entry["transfer"] == transfer and isinstance(entry["kind"], str)
        except _UNREADABLE as wrong:
            findings.add(name, False, f"its proof cannot be read: {type(wrong).__name__}: {wrong}")
            continue
        if findings.add(
            name,
            held and ours,
            f"entry {index}" if held and ours else "it is not in the log" if ours else "of another transfer",
        ):
            yield entry


def _proof(text: str, checkpoint: Checkpoint) -> tuple[int, Sequence[bytes]]:
    head, _, note = text.partition("\n\n")
    if note != checkpoint.note:
        raise ValueError("it leads to another checkpoint")
    lines = [line for line in head.split("\n") if line != "c2sp.org/tlog-proof@v1"]
    if not lines[0].startswith("index "):
        raise ValueError("no index")
    return int(lines[0][6:]), [base64.b64decode(line, validate=True) for line in lines[1:]]


def _digests(
    findings: Findings, files: Mapping[str, bytes], entries: Sequence[dict[str, Any]], missing: Mapping[str, str]
) -> None:
    """Compare SHA-256(salt, bytes) with the entries of intent and outcome. A message without a digest fails."""
    stated_of = {file for entry in entries for name, (file, _) in DIGESTS.items() if name in entry}
    for file, _ in DIGESTS.values():
        if f"messages/{file}" in files and file not in stated_of:
            findings.add(f"messages/{file}", False, "no entry of the package states its digest")
    for entry in entries:
        for name, (file, part) in DIGESTS.items():
            stated = entry.get(name)
            if stated is None:
                continue
            data = files.get(f"messages/{file}")
            if data is None:
                why = missing.get(file.rpartition(".")[0])
                if why:
                    findings.notes.append(
                        f"{file} is not in the package, which says why: {why}; only its digest is in the log"
                    )
                else:
                    findings.add(
                        f"messages/{file}", False, "the log names it, and the package lacks it without saying why"
                    )
                continue
            if part == "body":
                http = read_http(data)
                data, part = (http.body, "its body") if http.body else (_query(http), "its query")
            digest = hashlib.sha256(bytes.fromhex(_text(files, "messages/salt").strip()))
            digest.update(data)
            fits = digest.hexdigest() == stated["sha256"] and len(data) == stated["size"]
            findings.add(
                f"messages/{file}",
                fits,
                f"{part}: as logged in {entry['kind']}" if fits else f"{part}: not what {entry['kind']} states",
            )


def _query(http: Http) -> bytes:
    return http.target.partition("?")[2].encode()


# --- signatures ---


def _signatures(
    findings: Findings, files: Mapping[str, bytes], entries: Sequence[dict[str, Any]], known: Known
) -> None:
    intent = next((entry for entry in entries if "caller" in entry), {})
    caller = intent.get("caller", {})
    provider = next((entry["provider"] for entry in entries if entry.get("provider")), None)
    if (mark := caller.get("certificate")) is not None:
        channel = known.by_thumbprint(unmark(mark))
        findings.add(
            "the caller's TLS certificate",
            channel is not None,
            channel.key_id if channel is not None else "not here, or it does not hold",
        )
    senders = {"request": caller.get("system"), "forwarded": "gateway", "provider-answer": provider}
    times = [
        datetime.fromisoformat(each["at"]).timestamp() for each in entries if each["kind"] in ("intent", "outcome")
    ]
    forwarded: Http | None = None
    for part, system in senders.items():
        name = f"messages/{part}.http"
        if name not in files:
            continue
        try:
            message = read_http(files[name])
            opened = files.get(f"messages/{part}.opened")
            moment = known.moment
            if part != "request" and times:
                moment = time_of(message, opened, min(times), max(times))
            if part == "request":
                heads.kept(findings, name, message)
            signer, covered = signer_of(message, opened, known.by_id, known.by_thumbprint, moment, forwarded)
        except NotSigned as why:
            # A dropped file is known by its folder; a refused answer may be unsigned. What went out and came back is
            # digested whole, so nobody removed its signature. Of a request only the body is digested.
            if part == "request" and intent.get("door") != "files" or part == "forwarded":
                findings.add(f"{name}, signature", False, "it has none")
            findings.notes.append(f"{name}: {why}")
            if part == "request":
                heads.told(findings, name, message, frozenset())
            continue
        except NotLooked as lacking:
            findings.unseen.append(f"{name}, signature: {lacking}")
            continue
        except _UNREADABLE as wrong:
            findings.add(f"{name}, signature", False, str(wrong))
            continue
        if opened is not None:
            findings.notes.append(
                f"messages/{part}.opened: signed by whoever signed the message; that the encrypted one holds just this "
                "is the gateway's word"
            )
        if part == "forwarded":
            forwarded = message
        if part == "request":
            heads.told(findings, name, message, covered)
        why_not = _not_of(signer, system, caller if part == "request" else {})
        findings.add(
            f"{name}, signature",
            not why_not,
            why_not
            or f"signed with {signer.key_id}, whose certificate is {system}'s, leads to a trusted authority"
            " and was in force",
        )


def _not_of(signer: Verifier, system: str | None, caller: Mapping[str, str]) -> str:
    """Why a signature is not by the system that the log names. Empty if it is.

    A key's id is only the name of a file here. The thumbprint in the entry binds it, else the name in the certificate.
    """
    if caller.get("key", signer.key_id) != signer.key_id:
        return f"signed with {signer.key_id}, and the log names the key {caller['key']}"
    if "signer" in caller:
        return (
            ""
            if signer.thumbprint == unmark(caller["signer"])
            else f"signed with another certificate than the log names for {signer.key_id}"
        )
    names = systems_of(signer.certificate)
    return (
        ""
        if system in names
        else f"signed by {', '.join(sorted(names)) or 'nobody whom the certificate names'}, and the log names {system}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check a package of evidence without the gateway."
        " Exit code: 0 it holds, 1 it does not, 2 usage, 3 not all could be looked at."
    )
    parser.add_argument("package", type=Path, help="the folder, or the zip file")
    parser.add_argument("--vkey", help="the log's verifier key, or a file that holds it, from a source that you trust")
    parser.add_argument("--authorities", type=Path, help="certificates (PEM) of the authorities that you trust")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the verdict comes in any encoding
    vkey = asked.vkey
    try:
        if vkey is not None and vkey.count("+") < 2:  # not a key, so the name of a file
            vkey = Path(vkey).read_text("utf-8", "replace")
        files = read_package(asked.package)
        authorities = asked.authorities.read_bytes() if asked.authorities is not None else None
        _fit(vkey, authorities)
    except (OSError, zipfile.BadZipFile, ValueError) as trouble:
        if asked.json:
            _print_json({"ok": False, "error": f"cannot be read: {trouble}"})
        else:
            print(shown(f"cannot be read / không đọc được: {trouble}"), file=sys.stderr)
        return 1 if isinstance(trouble, Unreadable) else 2
    findings = check(files, vkey, authorities)
    whole = findings.ok and not findings.unseen
    if asked.json:
        _print_json({"ok": whole, "checks": findings.checks, "notes": findings.notes, "unseen": findings.unseen})
    else:
        for each in findings.checks:
            print(shown(f"{'ok    ' if each['ok'] else 'WRONG '} {each['name']}: {each['detail']}"))
        for note in findings.notes:
            print(shown(f"note   {note}"))
        for unseen in findings.unseen:
            print(shown(f"UNSEEN {unseen}"))
        print(
            "THE PACKAGE DOES NOT HOLD / GÓI KHÔNG ĐÚNG"
            if not findings.ok
            else "the package holds / gói đúng"
            if whole
            else "what was looked at holds; the rest was not looked at / phần đã xem đúng; phần còn lại chưa xem được"
        )
    return 0 if whole else 1 if not findings.ok else 3


def _print_json(result: dict[str, Any]) -> None:
    print(shown(json.dumps(result, ensure_ascii=False)))


def _fit(vkey: str | None, authorities: bytes | None) -> None:
    """Refuse a key or authorities of the wrong form: a mistaken file is no fault of the package."""
    if vkey is not None:
        try:
            LogKey.parse(vkey)
        except (ClientError, ValueError) as wrong:
            raise ValueError(f"--vkey is no verifier key (one line like NAME+HASH+BASE64): {wrong}") from None
    if authorities is not None:
        try:
            x509.load_pem_x509_certificates(authorities)
        except ValueError:
            raise ValueError("--authorities holds no certificates in PEM") from None


if __name__ == "__main__":
    sys.exit(main())

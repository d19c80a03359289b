"""Check a certificate of conformance without the gateway.

    python -m gateway.audit.verifier.conformance FILE --vkey KEY

Its entry is led by the proof to a checkpoint that the log signed (RFC 6962, C2SP tlog-proof), and the gateway's own
signature over the entry is verified with `--gateway gateway-sign.crt` (RFC 7515).
Invariant: only what the entry says is shown, after all of this was checked.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from gateway.audit.verifier.findings import shown
from gateway.sample_client.audit import LogKey, included, leaf_hash, read_checkpoint
from gateway.sample_client.errors import ClientError
from gateway.sample_client.signing import Verifier

FORMAT = "lgsp-conformance/1"


class NotProved(ValueError):
    """The text says what does not hold."""


def check(document: Mapping[str, Any], vkey: str, gateway: bytes | None = None) -> dict[str, Any]:
    """What the certificate says. `vkey`: the log's key as text; `gateway`: the certificate of its signing key, PEM.

    Raises NotProved.
    """
    try:
        if document["format"] != FORMAT:
            raise NotProved(f"format {document['format']!r}")
        entry = str(document["entry"]).encode()
        content = json.loads(entry)
        _proved(entry, str(document["proof"]), LogKey.parse(vkey))
        if gateway is not None:
            _signed(entry, str(document["signature"]), gateway)
        facts = content["facts"]
        if content["kind"] != "note" or content["what"] != "conformance" or not isinstance(facts, dict):
            raise NotProved("the entry is no certificate of conformance")
        if content["transfer"] != document["certificate"]:
            raise NotProved("the entry belongs to another certificate")
    except NotProved:
        raise
    except (ClientError, AttributeError, LookupError, RecursionError, StopIteration, TypeError, ValueError) as wrong:
        raise NotProved(f"cannot be read: {type(wrong).__name__}: {wrong}") from wrong
    return {"at": content["at"], **facts}


def _proved(entry: bytes, proof: str, key: LogKey) -> None:
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    index = next(each for each in lines if each.startswith("index "))
    hashes = [base64.b64decode(each, validate=True) for each in lines[lines.index(index) + 1 :] if each]
    checkpoint = read_checkpoint(note, key)
    at = int(index.removeprefix("index "))
    if not included(leaf_hash(entry), at, checkpoint.size, hashes, checkpoint.root):
        raise NotProved("the entry is not in the log of this checkpoint")


def _signed(entry: bytes, jws: str, certificate: bytes) -> None:
    text, _, signature = jws.rpartition(".")
    header, _, payload = text.partition(".")
    if _bytes(payload) != entry:
        raise NotProved("the signature is over another entry")
    key = Verifier(str(json.loads(_bytes(header))["kid"]), x509.load_pem_x509_certificates(certificate)[0])
    if not key.verify(text.encode("ascii"), _bytes(signature), "jose"):
        raise NotProved("the gateway's signature does not fit")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--vkey", required=True, help="the log's key, or a file that holds it")
    parser.add_argument("--gateway", type=Path, help="the certificate of the gateway's signing key")
    options = parser.parse_args(arguments)
    key = Path(options.vkey)
    try:
        vkey = key.read_text("utf-8").strip() if key.is_file() else options.vkey
        gateway = None if options.gateway is None else options.gateway.read_bytes()
        facts = check(json.loads(options.file.read_text("utf-8")), vkey, gateway)
    except (NotProved, OSError, RecursionError, ValueError) as wrong:
        print(shown(f"NOT PROVED: {wrong}"), file=sys.stderr)
        return 1
    text = json.dumps({"ok": True, "signed": gateway is not None, **facts}, ensure_ascii=False, indent=1)
    print("\n".join(map(shown, text.split("\n"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

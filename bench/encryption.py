"""What it costs a SOAP door that bodies are encrypted: a request of 1 KB read, and its answer made, against the same signed only.

Reading is parsing, decrypting (RSA-3072, AES-256-GCM), parsing what came out, verifying (P-256); making is signing and encrypting. Both sides in one
process, rounds taking turns. Invariant: each side's request verifies, and its answer is read by the caller, before anything is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bench.message import answer_xml, mark
from bench.rows import Row, row
from bench.translation import per_second
from contracts.wire.soap import parse_envelope
from security.encryption_keys import DecryptKey
from security.keys import SigningKey
from security.pki.authority import issue_encryption, issue_signing, make_issuer, make_root, new_private, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.verify import sign_envelope, verify_envelope

NAME: Final = "soap-encrypted-1k"
ROUNDS: Final = 7


def sides(now: float) -> dict[str, Callable[[], object]]:
    issuer = make_issuer(make_root("root", now), "issuer", now)
    private, own = new_private(), new_private("RSA-3072")
    signing = SigningKey.make(
        "bench.sign-1", private, issue_signing(issuer, "bench", private.public_key(), now), system="bench"
    )
    decrypt = DecryptKey.from_pem(
        "bench.encrypt-1", private_pem(own), issue_encryption(issuer, "bench", own.public_key(), now)
    )
    keys, receiver, known = BodyKeys([decrypt]), decrypt.encrypt_key(), {signing.thumbprint: signing.verify_key()}
    content = answer_xml(mark(1)).encode() + b" " * 300  # about what a report weighs

    def signed() -> bytes:
        return sign_envelope(content, signing, now, action="urn:bench", message_id="urn:uuid:1")

    def encrypted() -> bytes:
        return encrypt_envelope(
            sign_envelope(blinded(content), signing, now, action="urn:bench", message_id="urn:uuid:1"), receiver
        )

    plain, hidden = signed(), encrypted()

    def exchange_signed() -> object:
        return verify_envelope(parse_envelope(plain), known.get, now), signed()

    def exchange_encrypted() -> object:
        return verify_envelope(decrypt_envelope(parse_envelope(hidden), keys).root, known.get, now), encrypted()

    return {"encrypted": exchange_encrypted, "signed": exchange_signed}


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    made = sides(time.time())
    for exchange in made.values():
        exchange()
    count = 150 if quick else 1000
    rates = [{name: per_second(exchange, count) for name, exchange in made.items()} for _ in range(ROUNDS)]
    say(f"SOAP: {rates[-1]['encrypted']:,.0f}/s encrypted, {rates[-1]['signed']:,.0f}/s signed")
    middle = {name: sorted(each[name] for each in rates)[ROUNDS // 2] for name in made}
    return row(
        NAME,
        "readings+answers/s",
        [each["encrypted"] for each in rates],
        {"signed": [each["signed"] for each in rates]},
        {"encryption_costs_us": 1e6 / middle["encrypted"] - 1e6 / middle["signed"]},
    )

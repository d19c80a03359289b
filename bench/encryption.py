"""Measures what encrypted bodies cost a SOAP door: a request of 1 KB read and its answer made, against signed only.

Reading: parse, decrypt (RSA-3072, AES-256-GCM), parse the content, verify (P-256). Making: sign and encrypt. Both
sides run in one process, in turn. Invariant: before measuring, each side's request verifies and the caller reads its
answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bench.message import answer_xml, mark
from bench.rows import Row, row
from bench.translation import per_second
from contracts.wire.soap import parse_envelope
from security.algorithms import new_private
from security.encryption_keys import DecryptKey
from security.keys import SigningKey
from security.pki.authority import issue_encryption, issue_signing, make_issuer, make_root, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
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
    content = answer_xml(mark(1)).encode() + b" " * 300  # about the size of a report

    def signed() -> bytes:
        return sign_envelope(content, signing, now, EnvelopeHeaders(action="urn:bench", message_id="urn:uuid:1"))

    def encrypted() -> bytes:
        return encrypt_envelope(
            sign_envelope(blinded(content), signing, now, EnvelopeHeaders(action="urn:bench", message_id="urn:uuid:1")),
            receiver,
        )

    plain, hidden = signed(), encrypted()

    def exchange_signed() -> object:
        return verify_envelope(parse_envelope(plain), known.get, now), signed()

    def exchange_encrypted() -> object:
        return verify_envelope(decrypt_envelope(parse_envelope(hidden), keys).root, known.get, now), encrypted()

    return {"encrypted": exchange_encrypted, "signed": exchange_signed}


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    pair = sides(time.time())
    for exchange in pair.values():
        exchange()
    count = 150 if quick else 1000
    rates = [{name: per_second(exchange, count) for name, exchange in pair.items()} for _ in range(ROUNDS)]
    say(f"SOAP: {rates[-1]['encrypted']:,.0f}/s encrypted, {rates[-1]['signed']:,.0f}/s signed")
    middle = {name: sorted(each[name] for each in rates)[ROUNDS // 2] for name in pair}
    return row(
        NAME,
        "readings+answers/s",
        [each["encrypted"] for each in rates],
        {"signed": [each["signed"] for each in rates]},
        {"encryption_costs_us": 1e6 / middle["encrypted"] - 1e6 / middle["signed"]},
    )

"""Readers of answers that were refused: what their signature tells of the mistake."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from security import http_signatures, signature_hints
from security.errors import SIGNATURE_DIGEST_MISMATCH, SIGNATURE_WRONG
from tests.attacks.readers_security import TEXTS, known
from tests.attacks.reading import Try, reader

SIGNED = f'a=("@status");created=1;keyid="a.sign-1";tag="{http_signatures.ANSWER_TAG}"'


@reader("security.signature_hints:answer_hints")
def hints_of_answers() -> Iterable[Try]:
    """Of an answer that was refused already: its head was read, its body is bounded."""
    key = known().sign.verify_key()
    changed, wrong = SIGNATURE_DIGEST_MISMATCH(part="body"), SIGNATURE_WRONG(key=key.key_id)
    for name, make in TEXTS.items():
        yield Try(
            f"digest: {name}",
            lambda text: signature_hints.answer_hints(changed, {"content-digest": text}, text.encode(), {}),
            make,
        )
    yield Try(
        "value",
        lambda text: signature_hints.answer_hints(
            wrong, {"signature-input": SIGNED, "signature": f"a=:{text}:"}, b"", {key.key_id: key}
        ),
        lambda n: base64.b64encode(b"0" * n).decode(),
    )

"""Readers of encrypted bodies that are too large to be held."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

from contracts.wire.attachments import Spool
from contracts.wire.lifting import lift_xml
from contracts.wire.soap import V11, parse_envelope
from security import jose, large_jose
from security.wssec import decrypt, encrypt, large
from security.wssec import sign as wssign
from security.wssec.sign import EnvelopeHeaders
from tests.attacks.readers_security import NOW, known
from tests.attacks.readers_wire import again
from tests.attacks.reading import Try, reader


@reader("security.large_jose:open_large")
def encrypted_in_pieces() -> Iterable[Try]:
    opener, to, sign = jose.Opener([known().encrypt]), known().encrypt.encrypt_key(), known().sign

    def opened(raw: bytes) -> object:
        return large_jose.open_large(io.BytesIO(raw), opener, len, known().find, NOW, limit=1)

    def around(inside: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Rightly encrypted, whatever is inside."""
        return lambda n: jose._encrypted(inside(n), to, jose._REGISTRY)

    yield Try("a body", opened, lambda n: jose.seal(b"a" * n, "a/b", sign, to)[0])
    yield Try("points", opened, again(b"."))
    yield Try("letters", opened, again(b"a"))
    yield Try("a long encrypted key", opened, again(b"YWFh", b"YWFh.", b".YWFh.YWFh.YWFh"))
    yield Try("points inside", opened, around(again(b".")))
    yield Try("a long header inside", opened, around(again(b"YWFh", b"", b".YWFh.YWFh")))
    yield Try("a long signature inside", opened, around(again(b"YWFh", b"YWFh.YWFh.")))


@reader("security.wssec.large:decrypt_large", "security.wssec.decrypt:parse_opened")
def envelopes_in_pieces() -> Iterable[Try]:
    keys, headers = decrypt.BodyKeys([known().encrypt]), EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1")

    def opened(raw: bytes) -> object:
        spool, signed = Spool(io.BytesIO()), bytearray()
        outer = lift_xml(io.BytesIO(raw), spool, len(raw) + 100, exact=True)
        if large.decrypt_large(outer, parse_envelope(outer, V11), spool, keys, signed.extend) is None:
            return None
        return decrypt.parse_opened(bytes(signed), V11)

    def around(content: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def make(n: int) -> bytes:
            envelope = wssign.sign_envelope(b"<a/>", known().sign, NOW, headers)
            whole = envelope.replace(b"<a/>", b"<a>" + content(n) + b"</a>")
            return encrypt.encrypt_envelope(whole, known().encrypt.encrypt_key())

        return make

    yield Try("text", opened, around(again(b"a")))
    yield Try("elements", opened, around(again(b"<b/>")), 500_000)
    yield Try("another end of the Body", opened, around(again(b"a", b"", b"</a></soap:Body>")))

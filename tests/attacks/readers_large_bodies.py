"""Readers of encrypted bodies that are too large to be held."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable

from contracts.wire import mtom
from contracts.wire.attachments import Spool
from contracts.wire.lifting import lift_xml
from contracts.wire.soap import V11, parse_envelope
from security import jose, large_jose
from security.wssec import decrypt, encrypt, large
from security.wssec import sign as wssign
from security.wssec.sign import EnvelopeHeaders
from tests.attacks.readers_security import NOW, known
from tests.attacks.readers_wire import _BOUNDARY, _ROOT, again
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

    def packed(raw: bytes) -> object:
        """The same, with the octets of the CipherValue as a part."""
        begin = raw.rindex(b"<xenc:CipherValue>") + 18
        end = raw.index(b"<", begin)
        link = b'<i:Include xmlns:i="%b" href="cid:p"/>' % mtom.XOP.encode()
        part = b"\r\n--b\r\nContent-ID: <p>\r\n\r\n" + base64.b64decode(raw[begin:end])
        whole = _ROOT + raw[:begin] + link + raw[end:] + part + b"\r\n--b--"
        spool, signed = Spool(io.BytesIO()), bytearray()
        package = mtom.lift_package(io.BytesIO(whole), spool, len(whole) + 100, _BOUNDARY, short=20)
        root = parse_envelope(package.envelope, V11)
        mtom.put_in(root, package, spool)
        assert large.decrypt_large(package.rest, root, spool, keys, signed.extend) is not None
        return decrypt.parse_opened(bytes(signed), V11)

    def around(content: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def make(n: int) -> bytes:
            envelope = wssign.sign_envelope(b"<a/>", known().sign, NOW, headers)
            whole = envelope.replace(b"<a/>", b"<a>" + content(n) + b"</a>")
            return encrypt.encrypt_envelope(whole, known().encrypt.encrypt_key())

        return make

    yield Try("text", opened, around(again(b"a")))
    yield Try("elements", opened, around(again(b"<b/>")), 500_000)
    yield Try("text beside the envelope", packed, around(again(b"a")))
    yield Try("another end of the Body", opened, around(again(b"a", b"", b"</a></soap:Body>")))

"""Large encrypted envelopes: decrypted in pieces, each is octet by octet what is decrypted in memory."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.wire import mtom
from contracts.wire.attachments import CHUNK, Spool
from contracts.wire.lifting import LIFT, lift_xml
from contracts.wire.soap import V11, parse_envelope
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope, parse_opened
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.large import LargeHidden, decrypt_large
from security.wssec.verify import verify_envelope
from tests.security.identities import Pair
from tests.security.wssec.wscrypting import encrypted, signed

LIMIT = 20_000_000
PACKAGE = 'multipart/related; type="application/xop+xml"; boundary=b; start-info="text/xml"'
SIZES = st.sampled_from([LIFT, CHUNK * 3 - 40, CHUNK * 3, CHUNK * 4 + 1])
Change = Callable[[bytes], bytes]


def content(sizes: list[int]) -> bytes:
    files = b"".join(b"<d>" + base64.b64encode(bytes(range(251)) * (size // 251 + 1)) + b"</d>" for size in sizes)
    return b'<a:getStatus xmlns:a="urn:a">' + files + b"</a:getStatus>"


def opened(raw: bytes, crypt: DecryptKey) -> tuple[LargeHidden, bytes]:
    spool, plain = Spool(io.BytesIO()), bytearray()
    outer = lift_xml(io.BytesIO(raw), spool, LIMIT, exact=True)
    found = decrypt_large(outer, parse_envelope(outer, V11), spool, BodyKeys([crypt]), plain.extend)
    assert found is not None
    return found, bytes(plain)


def in_package(raw: bytes, change: Change = bytes, more: bytes = b"") -> bytes:
    """The octets of the CipherValue of the Body as a part, `more` parts behind it."""
    part: list[bytes] = []

    def include(value: bytes) -> bytes:
        part.append(change(base64.b64decode(value)))
        return b'<i:Include xmlns:i="%b" href="cid:c"/>' % mtom.XOP.encode()

    root = value_of(raw, include)
    head = b"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n"
    return b"".join((head, root, b"\r\n--b\r\nContent-ID: <c>\r\n\r\n", *part, more, b"\r\n--b--"))


def package_opened(raw: bytes, crypt: DecryptKey, short: int = 100) -> tuple[LargeHidden | None, bytes]:
    spool, plain = Spool(io.BytesIO()), bytearray()
    package = mtom.lift_package(io.BytesIO(raw), spool, LIMIT, PACKAGE, short=short)
    root = parse_envelope(package.envelope, V11)
    mtom.put_in(root, package, spool)
    found = decrypt_large(package.rest, root, spool, BodyKeys([crypt]), plain.extend)
    return found, bytes(plain)


def value_of(raw: bytes, change: Change) -> bytes:
    """With another text in the CipherValue of the Body."""
    begin = raw.rindex(b"<xenc:CipherValue>") + 18
    end = raw.index(b"<", begin)
    return raw[:begin] + change(raw[begin:end]) + raw[end:]


def in_lines(value: bytes) -> bytes:
    return b"\r\n  " + b"\n".join(value[at : at + 76] for at in range(0, len(value), 76)) + b"\n"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(SIZES, min_size=1, max_size=3), change=st.sampled_from([bytes, in_lines]))
def test_in_pieces_as_in_memory(sizes: list[int], change: Change, p256: Pair, crypt: DecryptKey, now: float) -> None:
    raw = value_of(encrypted(p256, crypt, now, blinded(content(sizes))), change)
    found, plain = opened(raw, crypt)
    assert plain == decrypt_envelope(parse_envelope(raw), BodyKeys([crypt])).raw
    assert verify_envelope(parse_opened(plain, V11), lambda _: p256.verify, now).body[0].tag == "{urn:a}getStatus"
    spool = Spool(io.BytesIO())
    small = found.around(lift_xml(io.BytesIO(plain), spool, LIMIT, exact=True), spool)
    assert small is not None and b"".join(spool.restore(small)) == raw and spool.size(small) == len(raw)
    assert len(small) < 20_000


@pytest.mark.parametrize("sizes", [[10], [LIFT], [CHUNK * 3 - 40, CHUNK * 4 + 1]])
def test_a_package_as_its_envelope(sizes: list[int], p256: Pair, crypt: DecryptKey, now: float) -> None:
    envelope = encrypted(p256, crypt, now, blinded(content(sizes)))
    raw = in_package(envelope)
    found, plain = package_opened(raw, crypt)
    assert found is not None and plain == decrypt_envelope(parse_envelope(envelope), BodyKeys([crypt])).raw
    spool = Spool(io.BytesIO())
    small = found.around(lift_xml(io.BytesIO(plain), spool, LIMIT, exact=True), spool)
    assert small is not None and b"".join(spool.restore(small)) == raw and spool.size(small) == len(raw)


def test_short_parts_stay_with_their_package(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """Also that of the CipherValue: then nothing is large, and the envelope is opened in memory."""
    raw = in_package(encrypted(p256, crypt, now))
    spool = Spool(io.BytesIO())
    package = mtom.lift_package(io.BytesIO(raw), spool, LIMIT, PACKAGE, short=8_192)
    assert package.rest == raw and not spool.attachments
    root = parse_envelope(package.envelope, V11)
    mtom.put_in(root, package, spool)
    opened_root = decrypt_envelope(root, BodyKeys([crypt])).root
    assert verify_envelope(opened_root, lambda _: p256.verify, now).body[0].tag == "{urn:a}getStatus"


def test_a_part_beside_the_encrypted_one_is_none_that_is_decrypted(p256: Pair, crypt: DecryptKey, now: float) -> None:
    raw = in_package(encrypted(p256, crypt, now), more=b"\r\n--b\r\nContent-ID: <d>\r\n\r\n" + bytes(200))
    with pytest.raises(Theirs, match="mtom.malformed"):
        package_opened(raw, crypt)
    named = b'<x><i:Include xmlns:i="%b" href="cid:d"/></x></soap:Header>' % mtom.XOP.encode()
    assert package_opened(raw.replace(b"</soap:Header>", named), crypt) == (None, b"")


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_part_that_was_changed_opens_in_no_way(at: int, p256: Pair, crypt: DecryptKey, now: float) -> None:
    def flip(octets: bytes) -> bytes:
        at_ = at % len(octets)
        return octets[:at_] + bytes([octets[at_] ^ 1]) + octets[at_ + 1 :]

    with pytest.raises(Theirs, match="body.decryption"):
        package_opened(in_package(encrypted(p256, crypt, now, blinded(content([CHUNK]))), flip), crypt)


def test_what_is_encrypted_when_it_is_written(p256: Pair, crypt: DecryptKey, now: float) -> None:
    spool = Spool(io.BytesIO())
    rest = lift_xml(io.BytesIO(content([LIFT, CHUNK * 4])), spool, LIMIT)
    raw = b"".join(spool.restore(encrypt_envelope(signed(p256, now, rest), crypt.encrypt_key(), V11, spool.marks)))
    plain = decrypt_envelope(parse_envelope(raw), BodyKeys([crypt])).raw
    assert b"".join(spool.restore(rest)) in plain and opened(raw, crypt)[1] == plain


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:-8] + (b"AAAA" if value[-8:-4] != b"AAAA" else b"BBBB") + value[-4:],
        lambda value: (b"AAAA" if value[:4] != b"AAAA" else b"BBBB") + value[4:],
        lambda value: value[: len(value) // 8 * 4],
        lambda value: (
            value[:4_000] + value[200_000:300_000] + value[104_000:200_000] + value[4_000:104_000] + value[300_000:]
        ),
        lambda value: value[4:],
    ],
)
def test_what_was_changed_opens_in_no_way(change: Change, p256: Pair, crypt: DecryptKey, now: float) -> None:
    raw = value_of(encrypted(p256, crypt, now, blinded(content([CHUNK * 4]))), change)
    for open_ in (lambda: opened(raw, crypt), lambda: decrypt_envelope(parse_envelope(raw), BodyKeys([crypt]))):
        with pytest.raises(Theirs, match="body.decryption"):
            open_()


def test_one_large_content_alone(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """A short CipherValue, or a second large text beside it, is none that is decrypted in pieces."""
    keys, spool = BodyKeys([crypt]), Spool(io.BytesIO())
    short = encrypted(p256, crypt, now)
    assert decrypt_large(short, parse_envelope(short), spool, keys, len) is None
    raw = encrypted(p256, crypt, now, content([LIFT]))
    second = b"<x>" + base64.b64encode(bytes(LIFT)) + b"</x></soap:Header>"
    outer = lift_xml(io.BytesIO(raw.replace(b"</soap:Header>", second)), spool, LIMIT, exact=True)
    assert len(spool.attachments) == 2
    assert decrypt_large(outer, parse_envelope(outer), spool, keys, len) is None

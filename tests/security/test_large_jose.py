"""Large encrypted bodies: what is written and opened in pieces is, octet by octet and code by code, what `jose` writes
and opens in memory. Nothing of a payload counts before tag and signature."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.wire.attachments import CHUNK, Spool
from contracts.wire.lifting import LIFT, lift_json
from security import jose
from security.jose import Opener, seal
from security.large_jose import LargeOpened, open_large, seal_large
from tests.security.joseparts import NOW, b64, known, signer
from tests.security.test_jose import _JWS, EC, ME, RSA, SENDERS, around, resigned

JSON, LIMIT = "application/json", 10_000_000
SIZES = st.sampled_from([0, 1, 10, LIFT, CHUNK * 3 - 1, CHUNK * 3, CHUNK * 3 + 1, CHUNK * 4 + 2])


def document(sizes: list[int], text: str = "") -> bytes:
    files = [
        base64.b64encode(bytes((n * 7 + at) & 255 for at in range(251)) * (n // 251 + 1))[: n - n % 4] for n in sizes
    ]
    return json.dumps({"text": text, "files": [each.decode() for each in files]}, ensure_ascii=False).encode()


def opened(body: bytes, keys: Any = (EC,), find: Any = None) -> tuple[LargeOpened, bytes]:
    payload = bytearray()
    found = open_large(io.BytesIO(body), Opener(keys), payload.extend, find or known(ME), NOW, limit=5_000_000)
    return found, bytes(payload)


def code_of(open_: Callable[[], object]) -> str:
    try:
        open_()
    except Theirs as failure:
        return failure.code
    return ""


@settings(max_examples=30, deadline=None)
@given(st.lists(SIZES, max_size=3), st.text(max_size=30))
def test_in_pieces_as_in_memory(sizes: list[int], text: str) -> None:
    payload = document(sizes, text)
    body, signed = seal(payload, JSON, ME, EC.encrypt_key())
    found, came = opened(body)
    assert (came, found.media_type, found.key.system) == (payload, JSON, "mot-cua")
    spool = Spool(io.BytesIO())
    rest = lift_json(io.BytesIO(came), spool, LIMIT)
    for small, whole in ((found.envelope.around(rest, spool), body), (found.envelope.signed(rest, spool), signed)):
        assert b"".join(spool.restore(small)) == whole and spool.size(small) == len(whole)
        assert len(small) < len(rest) + 5000


@settings(max_examples=20, deadline=None)
@given(st.lists(SIZES, max_size=3), st.sampled_from(["P-256", "RSA-2048"]), st.booleans())
def test_what_is_sealed_in_pieces_opens_in_memory(sizes: list[int], kind: str, rsa: bool) -> None:
    payload, sender, to = document(sizes), SENDERS[kind], RSA if rsa else EC
    spool = Spool(io.BytesIO())
    rest = lift_json(io.BytesIO(payload), spool, LIMIT)
    body, signed = seal_large(rest, JSON, sender, to.encrypt_key(), spool)
    whole = b"".join(spool.restore(body))
    found = Opener([to]).open(whole, known(sender), NOW)
    assert (found.payload, found.media_type) == (payload, JSON)
    assert found.jws == b"".join(spool.restore(signed)) and spool.size(body) == len(whole)
    assert opened(whole, (to,), known(sender))[1] == payload
    assert seal_large(rest, JSON, sender, to.encrypt_key(), spool)[0] != body  # another key, another nonce


BODY = seal(document([CHUNK * 4]), JSON, ME, EC.encrypt_key())[0]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_changed_character_has_the_same_code(data: st.DataObject) -> None:
    near = st.one_of(st.integers(0, 900), st.integers(len(BODY) - 60, len(BODY) - 1), st.integers(0, len(BODY) - 1))
    at, other = data.draw(near), data.draw(st.sampled_from(b"ABCDwxyz0189-_.=+ \xff"))
    changed = BODY[:at] + bytes([other]) + BODY[at + 1 :]
    code = code_of(lambda: opened(changed))
    assert code == code_of(lambda: Opener([EC]).open(changed, known(ME), NOW))
    assert changed == BODY or code in ("body.decryption", "body.encryption-profile")


def test_a_point_too_many_has_the_same_code_wherever_it_stands() -> None:
    points = [at for at, each in enumerate(BODY[:1000]) if each == ord(".")]
    for at in range(points[0], points[-1] + 4):
        changed = BODY[:at] + b"." + BODY[at + 1 :]
        large = code_of(partial(opened, changed))
        assert large == code_of(partial(Opener([EC]).open, changed, known(ME), NOW)), at


def _swapped(body: bytes) -> bytes:
    head, text = body[:5000], body[5000:]
    return head + text[CHUNK : CHUNK * 2] + text[:CHUNK] + text[CHUNK * 2 :]


def _other_tag(body: bytes) -> bytes:
    return body[:-22] + seal(b"x", JSON, ME, EC.encrypt_key())[0][-22:]


def _in_another(body: bytes) -> bytes:
    other = seal(document([CHUNK * 4], "x"), JSON, ME, EC.encrypt_key())[0]
    return other[:5000] + body[5000:]


@pytest.mark.parametrize(
    "change",
    [
        _swapped,
        _other_tag,
        _in_another,
        lambda body: body[:-1000],
        lambda body: body[:-5],
        lambda body: body[: len(body) // 2] + body[-23:],
        lambda body: body.rpartition(b".")[0],
        lambda body: body + body[-23:],
        lambda body: body + b"A",
        lambda body: body[:9000] + body[9000 + CHUNK :],
        lambda body: body[:3],
        lambda body: b"",
        lambda body: b"....",
        lambda body: b"A" * 100_000,
        lambda body: b"." * 100_000,
    ],
)
def test_cut_swapped_and_reordered_pieces(change: Callable[[bytes], bytes]) -> None:
    body = change(BODY)
    code = code_of(lambda: opened(body))
    assert code in ("body.decryption", "body.encryption-profile")
    assert code == code_of(lambda: Opener([EC]).open(body, known(ME), NOW))


@pytest.mark.parametrize(
    "jws",
    [
        b64(_JWS | {"alg": "none"}) + b"." + b64(b"{}") + b".AAAA",
        b64(_JWS) + b"." + b64(b"{}"),
        b64(_JWS) + b".." + b64(bytes(64)),
        b64(_JWS) + b"." + b64(b"{}") + b".",
        b"." + b64(b"{}") + b"." + b64(bytes(64)),
        resigned(_JWS) + b".AAAA",
        resigned(_JWS)[:-4] + b"AAAA",
        resigned(_JWS | {"kid": "nobody.sign-1"}),
        resigned(_JWS | {"kid": 7}),
        resigned(_JWS | {"b64": False}),
        resigned(_JWS | {"zip": "DEF"}),
        resigned(_JWS, by=signer("mot-cua")),
        resigned(_JWS).replace(b".", b"=.", 1),
        resigned(_JWS) + b"\n",
        b64("A" * 5000) + b"." + b64(b"{}") + b"." + b64(bytes(64)),
        b"." * 50_000,
        b"{}",
    ],
)
def test_what_is_wrong_inside_has_the_same_code_and_is_told_after_the_tag(jws: bytes) -> None:
    body = around(jws)
    code = code_of(lambda: opened(body))
    assert code and code == code_of(lambda: Opener([EC]).open(body, known(ME), NOW))
    assert code_of(lambda: opened(_other_tag(body))) == "body.decryption"


def test_a_signature_longer_than_any_is_not_kept() -> None:
    body = around(b64(_JWS) + b"." + b64(b"{}") + b"." + b64(bytes(100_000)))
    assert code_of(lambda: opened(body)) == "body.encryption-profile"


def test_a_signature_that_needs_the_whole() -> None:
    sender = SENDERS["Ed25519"]
    body = seal(document([LIFT]), JSON, sender, EC.encrypt_key())[0]
    with pytest.raises(Theirs) as caught:
        opened(body, find=known(sender))
    assert (caught.value.code, caught.value.facts["limit"]) == ("body.signed-whole", 5_000_000)


def test_marks_of_another_message_are_text() -> None:
    mine, other = Spool(io.BytesIO()), Spool(io.BytesIO())
    text = other.marks.in_base64url(b"a") + other.marks.for_jwe(b"b", bytes(32), bytes(12), b"c")
    assert b"".join(mine.restore(text)) == text and mine.size(text) == len(text)


def test_memory_does_not_grow_with_the_body() -> None:
    peaks = []
    for size in (4_000_000, 16_000_000):
        payload = b'{"a":"' + base64.b64encode(bytes(size)) + b'"}'
        source = io.BytesIO(seal(payload, JSON, ME, EC.encrypt_key())[0])
        tracemalloc.start()
        open_large(source, Opener([EC]), len, known(ME), NOW, limit=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
    assert jose.GROWN[0] / jose.GROWN[1] == pytest.approx(source.getbuffer().nbytes / len(payload), rel=0.001)

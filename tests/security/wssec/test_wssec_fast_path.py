"""The quick way to verify an envelope accepts what the general way accepts, with the same values, or leaves it alone.

Who could make the two disagree is a signer: an honest one whose bytes are not canonical, or one who wants two readers
to see two things. So besides damaged envelopes there are signed ones: the form of our own signer around content that is
not its own canonical form, with digests taken over those very bytes.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.errors import Failure
from contracts.codecs.codec import Codec
from contracts.compiled.contract import CompiledContract
from contracts.compiled.loader import load
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.wssec.fast_path import verify_fast
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope

SPACE = "urn:lgsp:contract:observation:v1"
READING = "<a:readings><a:phenomenonTime>2026-11-24T00:00:00Z</a:phenomenonTime><a:result>1.5</a:result></a:readings>"
CONTENT = (
    f'<a:submitReadings xmlns:a="{SPACE}"><a:Datastream><a:id>ab</a:id></a:Datastream>{READING}</a:submitReadings>'
)


@pytest.fixture(scope="module")
def codec() -> Codec:
    """Of a contract compiled for these tests alone: what this process shares knows the prefixes that other tests wrote,
    and takes only so many."""
    bundle = Bundle.from_folder(next(folder for folder in catalogue_folders() if folder.parent.name == "observation"))
    return CompiledContract(load(bundle), bundle.digest).codec("canonical")


def envelope(
    content: str, pair: Any, now: float, version: Version = V11, blocks: Sequence[tuple[str, bytes]] = (), **more: Any
) -> bytes:
    addressed = EnvelopeHeaders(**{"action": "urn:a", "message_id": "urn:uuid:1", "relates_to": "urn:uuid:2"} | more)
    return sign_envelope(content.encode(), pair.sign, now, addressed, blocks=blocks, version=version)


def quick(raw: bytes, codec: Codec, pair: Any, now: float, version: Version = V11) -> Any:
    found = verify_fast(raw, version, {pair.verify.thumbprint: pair.verify}.get, now)
    value = None if found is None else codec.read_canonical_xml("Readings", found.content)
    return (
        None if found is None or value is None else (found.key, found.action, found.message_id, found.relates_to, value)
    )


def general(raw: bytes, codec: Codec, pair: Any, now: float, version: Version = V11) -> Any:
    try:
        found = verify_envelope(parse_envelope(raw, version), {pair.verify.thumbprint: pair.verify}.get, now)
        return found.key, found.action, found.message_id, found.relates_to, codec.read_xml("Readings", found.body[0])
    except (Failure, IndexError):
        return "refused"


@pytest.mark.parametrize("version", [V11, V12])
@pytest.mark.parametrize("kind", ["p256", "rsa_pair"])
def test_what_our_signer_writes_is_usual(version: Version, kind: str, codec: Codec, now: float, request: Any) -> None:
    pair = request.getfixturevalue(kind)
    raw = envelope(CONTENT, pair, now, version, to="https://x.example/a?b=c")
    assert quick(raw, codec, pair, now, version) == general(raw, codec, pair, now, version) != "refused"
    assert quick(raw, codec, pair, now, V12 if version is V11 else V11) is None


NOT_CANONICAL = [
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a<!-- x -->b</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id><![CDATA[ab]]></a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id >ab</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>ab</a:id >"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a&#98;</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a&quot;</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a&b;</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a>b</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a]]>b</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a\rb</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a\x01b</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id>a\ufffeb</a:id>"),
    CONTENT.replace("<a:id>ab</a:id>", "<a:id/>"),
    CONTENT.replace("<a:id>ab</a:id>", '<a:id x="1">ab</a:id>'),
    CONTENT.replace("<a:id>ab</a:id>", f'<a:id xmlns:a="{SPACE}">ab</a:id>'),
    CONTENT.replace(f'xmlns:a="{SPACE}"', f"xmlns:a='{SPACE}'"),
    CONTENT.replace(f'xmlns:a="{SPACE}"', f'xmlns:a="{SPACE}" xmlns:b="urn:b"'),
    CONTENT.replace(f'xmlns:a="{SPACE}"', f'xmlns:b="urn:b" xmlns:a="{SPACE}"'),
    CONTENT.replace(f'xmlns:a="{SPACE}"', f'  xmlns:a="{SPACE}"'),
    CONTENT.replace("a:", "xml:"),
    CONTENT.replace("a:", "XmL:"),
    CONTENT + "<!-- x -->",
    CONTENT + " ",
    CONTENT + CONTENT,
    "<?x?>" + CONTENT,
    "",
]


@pytest.mark.parametrize("content", NOT_CANONICAL, ids=range(len(NOT_CANONICAL)))
def test_what_is_not_its_own_canonical_form_is_left_alone(content: str, codec: Codec, p256: Any, now: float) -> None:
    """Signed by the right key over the very bytes, so that nothing but the reader of the content stands between."""
    raw = envelope("CONTENT", p256, now)
    body = raw[raw.index(b"<soap:Body") : -len(b"</soap:Envelope>")]
    made = body.replace(b"CONTENT", content.encode())
    start, end = raw.index(b"<ds:SignedInfo"), raw.index(b"</ds:SignedInfo>") + 16
    info = raw[start:end].replace(_digest(body), _digest(made))
    value_start, value_end = raw.index(b"<ds:SignatureValue>") + 19, raw.index(b"</ds:SignatureValue>")
    forged = (
        raw[:start]
        + info
        + raw[end:value_start]
        + base64.b64encode(p256.sign.sign_xml(info))
        + raw[value_end:].replace(body, made)
    )
    assert verify_fast(forged, V11, {p256.verify.thumbprint: p256.verify}.get, now) is not None
    assert quick(forged, codec, p256, now) is None


def _digest(part: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(part).digest())


CHANGES = [
    b"",
    b" ",
    b"<",
    b">",
    b"&",
    b'"',
    b"\n",
    b"\r",
    b"x",
    b"1",
    b"=",
    b"/",
    b"<!---->",
    b"\xff",
    b"wsu:",
    b"</soap:Body>",
    b"<soap:Body>",
]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_envelopes_are_judged_alike(seed: int, codec: Codec, p256: Any, other: Any, now: float) -> None:
    chance = random.Random(seed)
    text = chance.choice(["ab", "à bả", "a&amp;b", "a\nb", " ab "])
    pair = chance.choice([p256, p256, p256, other])
    raw = envelope(CONTENT.replace(">ab<", f">{text}<"), pair, now + chance.choice([-301, -300, -10, 0, 0, 0, 5, 6]))
    assert quick(raw, codec, p256, now) in (None, general(raw, codec, p256, now))
    for _ in range(12):
        at = chance.randrange(len(raw))
        damaged = raw[:at] + chance.choice(CHANGES) + raw[at + chance.choice([0, 1, 1, 2, 40]) :]
        found = quick(damaged, codec, p256, now)
        assert found is None or found == general(damaged, codec, p256, now)


PIECES = (
    b"<wsa:",
    b"<wsse:Security",
    b"<wsu:Timestamp",
    b"<wsse:BinarySecurityToken",
    b"<ds:",
    b"<soap:Body",
    b"</soap:",
)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_pieces_that_moved_are_judged_alike(seed: int, codec: Codec, p256: Any, now: float) -> None:
    """Pieces of two envelopes of one signer, put together anew: wrapping, twice the same, nothing of it."""
    chance = random.Random(seed)
    both = [envelope(CONTENT, p256, now), envelope(CONTENT.replace(">ab<", ">evil<"), p256, now)]
    cuts = [sorted({0, len(raw), *(raw.index(piece) for piece in PIECES)}) for raw in both]
    parts = [[raw[a:b] for a, b in zip(cut, cut[1:], strict=False)] for raw, cut in zip(both, cuts, strict=True)]
    made = list(parts[0])
    for _ in range(chance.choice([1, 1, 2, 3])):
        at, piece = chance.randrange(len(made)), chance.choice(chance.choice(parts))
        made[at : at + chance.choice([0, 1])] = [piece]
    raw = b"".join(made)
    found = quick(raw, codec, p256, now)
    assert found is None or found == general(raw, codec, p256, now)

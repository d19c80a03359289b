"""Base64 with line breaks and indents leaves a message and comes back octet by octet, in linear time."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.wire.attachments import Spool
from contracts.wire.base64_lines import as_parsed, extra, laid_out, lines_of
from contracts.wire.lifting import lift_xml
from tests.contracts.wire.test_attachments import BIG, LIMIT, data

SPACES = st.text(" \t\r\n", min_size=1, max_size=5).map(str.encode)
RUNS = st.lists(st.tuples(st.integers(16, 90), SPACES, st.integers(1, 400)), max_size=12)


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


@settings(max_examples=60, deadline=None)
@given(runs=RUNS, before=st.one_of(st.just(b""), SPACES), size=st.integers(1, 500), last=st.integers(0, 90))
def test_any_white_space_is_described_and_laid_out_again(
    runs: list[tuple[int, bytes, int]], before: bytes, size: int, last: int
) -> None:
    raw = before + b"".join((b"x" * length + space) * count for length, space, count in runs) + b"y" * last
    lines = lines_of(cut(raw, size))
    assert lines is not None
    bare = raw.translate(None, b" \t\r\n")
    assert extra(lines) == len(raw) - len(bare)
    for pieces in (cut(bare, 7 + size), [bare]):
        assert b"".join(laid_out(pieces, lines)) == raw
    parsed = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert b"".join(laid_out([bare], as_parsed(lines))) == parsed


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([76_800, 120_001, 400_000, 30]), min_size=1, max_size=3),
    width=st.sampled_from([64, 76, 4_000, 10_000_000]),
    space=st.sampled_from([b"\n", b"\r\n", b"\r", b"\n      ", b" \t\n"]),
    around=st.sampled_from([b"", b"\n  "]),
)
def test_a_document_with_line_breaks_there_and_back(sizes: list[int], width: int, space: bytes, around: bytes) -> None:
    """Octet by octet as it came; with the parser's line ends for the digest; and plain in the message."""
    files = [data(size, seed) for seed, size in enumerate(sizes)]
    texts = [around + space.join(cut(base64.b64encode(each), width)) + around for each in files]
    raw = b"<a>" + b"".join(b"<b>%b</b>\n" % each for each in texts) + b"</a>"
    spool = Spool(io.BytesIO())
    rest = lift_xml(io.BytesIO(raw), spool, LIMIT, exact=True)
    assert len(rest) < 5_000 and b"".join(spool.restore(rest)) == raw and spool.size(rest) == len(raw)
    root = etree.fromstring(rest)
    canonical = b"".join(spool.restore(etree.tostring(root, method="c14n", exclusive=True), parsed=True))
    whole = etree.fromstring(raw, etree.XMLParser(huge_tree=True))
    assert canonical == etree.tostring(whole, method="c14n", exclusive=True)
    large = iter(spool.attachments)
    for element, file in zip(root, files, strict=True):
        attachment = spool.attachment_of(spool.unlined(element.text or ""))
        if len(file) > 30:
            assert attachment == next(large) and b"".join(spool.contents(attachment)) == file
        else:
            assert attachment is None


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize(
    "raw",
    [
        b"AAAA\n" * 100_000,  # as many lines as characters allow
        b"A \t\n" * 100_000,
        b"".join(b"A" * (16 + n % 7) + b" " * (1 + n % 2) for n in range(20_000)),  # no two runs alike
        b"A" * 100 + b" " * 1_000_000 + b"A" * 100,
    ],
)
def test_white_space_that_cannot_be_described_is_given_up_early(raw: bytes) -> None:
    assert lines_of(cut(raw, 262_144)) is None


def test_a_lined_stand_in_of_another_message_stays_text() -> None:
    mine, other = Spool(io.BytesIO()), Spool(io.BytesIO())
    for spool in (mine, other):
        spool.add([BIG])
    text = other.lined_stand_in(0).decode()
    assert mine.unlined(text) == text and mine.unlined("x") == "x"
    assert mine.unlined(mine.lined_stand_in(7).decode()) == mine.lined_stand_in(7).decode()
    assert b"".join(mine.restore(text.encode())) == text.encode()

"""Large base64 contents leave a message before it is parsed, and come back octet by octet; nothing else is touched."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.attachments import Spool, stand_ins_in
from contracts.wire.lifting import LIFT, lift_json, lift_xml

LIMIT = 10_000_000
BIG = bytes(range(256)) * 300  # 76,800 bytes, more than LIFT characters
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=20
)
SIZES = st.sampled_from([LIFT * 3 // 4 - 3, LIFT * 3 // 4, LIFT * 3 // 4 + 1, LIFT * 3 // 4 + 2, 400_000, 786_433])


def data(size: int, seed: int = 1) -> bytes:
    return bytes((n * n * seed + n) & 255 for n in range(251)) * (size // 251) + b"x" * (size % 251)


def put_back(small: bytes, spool: Spool) -> bytes:
    return b"".join(spool.restore(small))


def lifted(lift: Callable[[BinaryIO, Spool, int], bytes], raw: bytes) -> tuple[bytes, Spool]:
    spool = Spool(io.BytesIO())
    return lift(io.BytesIO(raw), spool, LIMIT), spool


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            SIZES.map(lambda size: base64.b64encode(data(size)).decode()),
            TEXT,
            TEXT.map(lambda text: f"<!--{text.replace('-', '')}-->"),
        ),
        max_size=5,
    ),
    attribute=TEXT,
    wrap=st.sampled_from([0, 64, 76]),
)
def test_xml_there_and_back(pieces: list[str], attribute: str, wrap: int) -> None:
    def content(piece: str) -> str:
        if piece.startswith("<!--"):
            return piece
        return "\r\n".join(textwrap.wrap(piece, wrap)) if wrap and len(piece) > 1000 else escape(piece)

    raw = (
        "<r>" + "".join(f"<d name={quoteattr(attribute)} >{content(piece)}</d> đuôi " for piece in pieces) + "</r>"
    ).encode()
    small, spool = lifted(lift_xml, raw)
    assert len(spool.attachments) == sum(len(piece) > LIFT for piece in pieces)
    assert len(small) < len(raw) - sum(len(piece) - 60 for piece in pieces if len(piece) > LIFT) + 1
    huge = etree.XMLParser(huge_tree=True)
    before, after = etree.fromstring(raw, huge), etree.fromstring(put_back(small, spool), huge)
    assert [(unwrapped(e.text or ""), e.tail, dict(e.attrib)) for e in before] == [
        (unwrapped(e.text or ""), e.tail, dict(e.attrib)) for e in after
    ]


def unwrapped(text: str) -> str:
    return "".join(text.split()) if len(text) > LIFT else text


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.one_of(SIZES.map(lambda size: base64.b64encode(data(size)).decode()), st.text(max_size=20)), max_size=5
    ),
    ascii=st.booleans(),
)
def test_json_there_and_back(values: list[str], ascii: bool) -> None:
    raw = json.dumps({f'"\\{n}': value for n, value in enumerate(values)}, ensure_ascii=ascii).encode(
        "utf-8", "surrogatepass"
    )
    small, spool = lifted(lift_json, raw)
    assert len(spool.attachments) == sum(len(value) > LIFT for value in values)
    assert put_back(small, spool) == raw


def test_contents_and_digests_are_those_that_came() -> None:
    small, spool = lifted(lift_xml, b"<a><b>" + base64.b64encode(BIG) + b"</b></a>")
    (only,) = spool.attachments
    assert b"".join(spool.contents(only)) == BIG and only.size == len(BIG)
    assert spool.attachment_of(etree.fromstring(small)[0].text or "") == only


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(BIG)[:-2] + b"=!",
        base64.b64encode(BIG)[:-1],
        base64.b64encode(BIG)[:70_000] + b"<x/>" + base64.b64encode(BIG)[70_000:],
        base64.b64encode(BIG)[:70_000] + b"<!-- c -->" + base64.b64encode(BIG)[70_000:],
        base64.b64encode(BIG)[:70_000] + b"<![CDATA[AAAA]]>" + base64.b64encode(BIG)[70_004:],
        b"QQ==" + base64.b64encode(BIG),
        ("ấ" * LIFT).encode(),
    ],
)
def test_what_is_no_base64_from_end_to_end_stays(text: bytes) -> None:
    raw = b"<a>" + text + b"</a>"
    small, spool = lifted(lift_xml, raw)
    assert (small, spool.attachments) == (raw, [])


def test_a_sender_cannot_write_a_stand_in() -> None:
    _, spool = lifted(lift_xml, b"<a><b>" + base64.b64encode(BIG) + b"</b></a>")
    _, other = lifted(lift_xml, b"<a><b>" + base64.b64encode(BIG) + b"</b></a>")
    forged = b"<a>" + other.stand_in(0) + b"</a>"
    assert put_back(forged, spool) == forged
    beyond = b"<a>" + spool.stand_in(7) + b"</a>"
    assert put_back(beyond, spool) == beyond


def test_places_of_stand_ins_are_told() -> None:
    small, spool = lifted(lift_json, json.dumps({"a": [{"b": base64.b64encode(BIG).decode()}], "c": "x"}).encode())
    found: list[object] = []
    stand_ins_in(
        json.loads(small), spool, lambda place, attachment: found.append((place, attachment and attachment.size))
    )
    assert found == [(("a", 0, "b"), len(BIG))]


def test_doctypes_and_sizes_are_refused() -> None:
    with pytest.raises(Theirs) as caught:
        lifted(lift_xml, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    assert caught.value.code == "xml.doctype"
    for lift in (lift_xml, lift_json):
        with pytest.raises(Theirs) as caught:
            lift(io.BytesIO(b'<a>"' + b"?" * 2000 + b'"</a>'), Spool(io.BytesIO()), 1000)
        assert caught.value.code == "xml.too-large"


@pytest.mark.parametrize(
    "raw",
    [b"<a>", b"", b"\xff", '<?xml version="1.0" encoding="utf-16"?><a>đ</a>'.encode("utf-16"), b'{"a": "', b'"\\'],
)
def test_what_is_not_well_formed_is_left_to_its_parser(raw: bytes) -> None:
    for lift in (lift_xml, lift_json):
        assert lifted(lift, raw)[0] == raw


MEMORY = """
import base64, os, re, sys, tempfile
from contracts.wire.attachments import Spool
from contracts.wire.lifting import lift_xml, lift_json
lift = {"xml": lift_xml, "json": lift_json}[sys.argv[1]]
head, tail = {"xml": (b"<a><b>", b"</b></a>"), "json": (b'{"b": "', b'"}')}[sys.argv[1]]
with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as file:
    source.write(head)
    for _ in range(50):
        source.write(base64.b64encode(os.urandom(999_999)))
    source.write(tail)
    peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    rest = peak()
    spool = Spool(file)
    small = lift(source, spool, 10_000_000)
    size = sum(len(part) for part in spool.restore(small))
    assert size == source.seek(0, 2) and len(spool.attachments) == 1, (size, spool.attachments)
    print((peak() - rest) // 1024)
"""


@pytest.mark.parametrize("form", ["xml", "json"])
def test_fifty_megabytes_pass_in_little_memory(form: Any) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, form], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) <= 20  # MiB above rest

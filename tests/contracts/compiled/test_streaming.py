"""Documents with large attachments: the same message as in one piece, in little memory; and nothing slips in where it
does not belong."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract
from contracts.compiled.streaming import LargeForm, read_large, write_large
from contracts.wire.attachments import Spool

FILES = [b"%PDF-1.7 " + bytes(range(256)) * 400, b"x" * 70_001, b"nho"]


@pytest.fixture
def compiled(catalogue: dict[str, CompiledContract]) -> CompiledContract:
    return catalogue["official-document/v1"]


def document(compiled: CompiledContract, files: list[bytes]) -> dict[str, Any]:
    sample = next(
        each
        for each in compiled.samples
        if (each.format, each.message) == ("edxml", "Document") and b"attachments" in each.canonical
    )
    made: dict[str, Any] = copy.deepcopy(json.loads(sample.canonical))
    first = made["attachments"][0]
    made["attachments"] = [
        first | {"contentId": f"tep-{n}", "data": base64.b64encode(data).decode()} for n, data in enumerate(files)
    ]
    return made


def whole(pieces: Any) -> bytes:
    return b"".join(pieces)


@pytest.mark.parametrize("back", ["edxml", "qlvb-json", "canonical"])
@pytest.mark.parametrize("there", ["edxml", "canonical"])
def test_the_same_bytes_as_in_one_piece(compiled: CompiledContract, there: str, back: str) -> None:
    value = document(compiled, FILES)
    codec = compiled.codec(there)
    raw = codec.write_xml("Document", value) if there == "edxml" else codec.write_json("Document", value)
    spool = Spool(io.BytesIO())
    read = read_large(LargeForm(compiled, there), "Document", io.BytesIO(raw), spool)
    assert len(json.dumps(read)) < 10_000 and [each.sha256 for each in spool.attachments] == [
        hashlib.sha256(data).digest() for data in FILES[:2]
    ]
    onward = compiled.codec(back)
    expected = onward.write_xml("Document", value) if back == "edxml" else onward.write_json("Document", value)
    assert whole(write_large(LargeForm(compiled, back), "Document", read, spool)) == expected
    assert whole(write_large(LargeForm(compiled, "canonical", "xml"), "Document", read, spool)) == compiled.codec(
        "canonical"
    ).write_xml("Document", value)


@pytest.mark.parametrize(
    "field", ["subject", "code.codeNotation", "business.docType", "promulgation.date", "from.organId", "documentId"]
)
def test_a_file_in_a_field_that_is_none(compiled: CompiledContract, field: str) -> None:
    """What a text, a code, a date would be refused for in one piece, it is refused for here."""
    value = document(compiled, FILES)
    at = value
    *parents, last = field.split(".")
    for step in parents:
        at = at[step]
    at[last] = base64.b64encode(FILES[0]).decode()
    raw = json.dumps(value).encode()
    with pytest.raises(Theirs) as in_one_piece:
        compiled.codec("canonical").read_json("Document", raw)
    with pytest.raises(Theirs) as caught:
        read_large(LargeForm(compiled, "canonical"), "Document", io.BytesIO(raw), Spool(io.BytesIO()))
    assert caught.value.code == in_one_piece.value.code == "message.invalid"
    assert (
        {each.canonical for each in caught.value.findings}
        == {each.canonical for each in in_one_piece.value.findings}
        == {field}
    )

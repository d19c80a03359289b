"""Files that were damaged on the way or by intent: read, or refused with a reason; never anything else."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.codecs.cells.codec import CellCodec
from contracts.folder.bundle import catalogue_folders

SAMPLES = next(folder for folder in catalogue_folders() if folder.parent.name == "indicator") / "samples"
MESSAGE = "IndicatorValues"
MANY = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLACES = st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)
SPLICES = [
    b"&amp;",
    b"<row>",
    b'r="A1"',
    b't="s"',
    b"<v>1e400</v>",
    b"<v>-1</v>",
    b"</c>",
    b"<!DOCTYPE a>",
    b"\x00",
    b'"',
    b";",
    b"\r",
]


def damaged(raw: bytes, data: st.DataObject) -> bytes:
    for at, new, cut in data.draw(PLACES):
        at %= len(raw) + 1
        raw = raw[:at] + data.draw(st.sampled_from([new, *SPLICES])) + raw[at + cut :]
    return raw


def read_or_refuse(codec: Any, raw: bytes) -> None:
    assert isinstance(codec, CellCodec)
    try:
        for line in codec.read_lines(MESSAGE, raw):
            assert (line.value is None) == bool(line.findings)
    except Theirs as refused:
        assert refused.code == "message.invalid" and refused.findings


@MANY
@given(data=st.data())
def test_damaged_csv(catalogue: Any, data: st.DataObject) -> None:
    raw = (SAMPLES / "chi-tieu-csv" / f"{MESSAGE}.quy-3.csv").read_bytes()
    read_or_refuse(catalogue["indicator/v1"].codec("chi-tieu-csv"), damaged(raw, data))


@MANY
@given(data=st.data())
def test_damaged_zip(catalogue: Any, data: st.DataObject) -> None:
    raw = (SAMPLES / "chi-tieu-xlsx" / f"{MESSAGE}.quy-3.xlsx").read_bytes()
    read_or_refuse(catalogue["indicator/v1"].codec("chi-tieu-xlsx"), damaged(raw, data))


@MANY
@given(data=st.data())
def test_damaged_parts(catalogue: Any, data: st.DataObject) -> None:
    raw, out = (SAMPLES / "chi-tieu-xlsx" / f"{MESSAGE}.quy-3.xlsx").read_bytes(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        victim = data.draw(st.sampled_from(sorted(old.namelist())))
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, damaged(part, data) if name == victim else part)
    read_or_refuse(catalogue["indicator/v1"].codec("chi-tieu-xlsx"), out.getvalue())


@pytest.mark.parametrize("part", ["_rels/.rels", "xl/workbook.xml", "xl/worksheets/sheet2.xml"])
def test_a_namespace_that_is_none(catalogue: Any, part: str) -> None:
    """A streaming parser hands elements out before it says that their namespace is no URI."""
    raw, out = (SAMPLES / "chi-tieu-xlsx" / f"{MESSAGE}.quy-3.xlsx").read_bytes(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        assert part in old.namelist()
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, text.replace(b'="http://', b'="http:}//', 1) if name == part else text)
    codec = catalogue["indicator/v1"].codec("chi-tieu-xlsx")
    assert isinstance(codec, CellCodec)
    with pytest.raises(Theirs) as caught:
        list(codec.read_lines(MESSAGE, out.getvalue()))
    assert caught.value.code == "message.invalid"

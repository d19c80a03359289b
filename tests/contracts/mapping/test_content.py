"""Messages of a format that share a root element are told apart by what they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces.wsdl import wsdl
from contracts.folder.bundle import Bundle
from contracts.proof.check import check_bundle
from contracts.proof.tryout import try_out
from gateway.doors.soap import operation_of
from tests.contracts.rowsmaking import HEAD, LAWS, NAME, closed

CONTRACT = (
    HEAD
    + """
  putPaper: {pattern: dispatch, method: POST, path: /papers, request: Paper, answer: Done, title: {vi: A, en: A}}
  putState: {pattern: dispatch, method: POST, path: /states, request: State, answer: Done, title: {vi: A, en: A}}
"""
)
TABLE = """format: xml
title: {vi: A, en: A}
namespaces: {d: "urn:d"}
messages:
  Paper:
    root: d:T
    when: {here: d:Dau/d:TrangThai, there: false}
    rows:
      - {canonical: id, here: d:Dau/d:Ma}
      - {canonical: note, here: d:Dau/@ghiChu}
  State:
    root: d:T
    when: {here: d:Dau/d:TrangThai, there: true}
    rows:
      - {canonical: id, here: d:Dau/d:Ma}
      - {canonical: state, here: d:Dau/d:TrangThai}
"""
KIND = """      - {here: d:Dau/@loai, constant: %s}
"""


def schema() -> bytes:
    import json

    defs = {
        "Paper": closed({"id": NAME, "note": NAME}, "id"),
        "State": closed({"id": NAME, "state": NAME}, "id", "state"),
        "Done": closed({"id": NAME}, "id"),
    }
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}).encode()


def bundle(table: str) -> Bundle:
    return Bundle.of({"contract.yaml": CONTRACT.encode(), "schema.json": schema(), "systems/a.yaml": table.encode()})


def by_kind() -> str:
    """The same two messages, told apart by a constant."""
    table = TABLE.replace(
        "{here: d:Dau/d:TrangThai, there: false}", "{here: d:Dau/@loai, is: [giay, van-ban]}"
    ).replace("{here: d:Dau/d:TrangThai, there: true}", "{here: d:Dau/@loai, is: [trang-thai]}")
    paper, state = table.split("  State:\n")
    rows = "    rows:\n"
    return paper.replace(rows, rows + KIND % "giay") + "  State:\n" + state.replace(rows, rows + KIND % "trang-thai")


@pytest.fixture(scope="module", params=["presence", "constant"])
def chosen(request: Any) -> CompiledContract:
    return compile_bundle(bundle(TABLE if request.param == "presence" else by_kind()))


@LAWS
@given(data=st.data())
def test_what_is_written_is_read_as_the_same_message(
    chosen: CompiledContract, values_of: Any, data: st.DataObject
) -> None:
    message = data.draw(st.sampled_from(["Paper", "State"]))
    value = data.draw(values_of(chosen, message))
    codec = chosen.codec("a")
    written = codec.write(message, value)
    operation = {"Paper": "putPaper", "State": "putState"}[message]
    assert codec.soap_body(etree.fromstring(written)) == (operation, message)
    assert codec.read(message, written) == codec.normal(message, value) == value
    assert try_out(chosen, "a", written).message == message
    with pytest.raises(Theirs) as caught:
        codec.read("State" if message == "Paper" else "Paper", written)
    assert caught.value.code == "message.wrong-root"


def test_a_root_that_no_message_matches_means_none() -> None:
    codec = compile_bundle(bundle(by_kind())).codec("a")
    assert codec.soap_body(etree.fromstring('<T xmlns="urn:d"><Dau loai="khac"/></T>')) is None
    assert codec.soap_body(etree.fromstring('<T xmlns="urn:d"/>')) is None
    assert codec.soap_body(etree.fromstring('<U xmlns="urn:d"/>')) is None


def test_an_action_does_not_make_another_message_of_what_it_holds(chosen: CompiledContract) -> None:
    """The door then refuses the action, since it does not name the operation of the Body."""
    codec = chosen.codec("a")
    body = codec.soap_body(etree.fromstring(codec.write("State", {"id": "1", "state": "x"})))
    assert body is not None and operation_of(chosen.contract, codec, body, codec.soap_action("putPaper")) == "putState"


def test_the_wsdl_has_both_operations(chosen: CompiledContract) -> None:
    assert b'<wsdl:operation name="putState">' in wsdl(chosen, "https://localhost/", "a")


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("there: true", "there: false", 11, "overlap"),
        ("    when: {here: d:Dau/d:TrangThai, there: true}\n", "", 11, "overlap"),
        ("d:Dau/d:TrangThai, there: true", "d:Dau/d:Ma, there: true", 11, "overlap"),
        ("d:TrangThai, there: true", "d:TrangThai, is: [x]", 0, ""),
        ("there: true", "there: maybe", 13, "when"),
        ("there: true", "is: []", 13, "when"),
        ("d:Dau/d:TrangThai, there: true", '"d:TrangThai[]", there: true', 13, "when"),
        ("d:TrangThai, there: true", "e:TrangThai, there: true", 13, "when"),
    ],
)
def test_messages_that_may_both_match_are_refused(old: str, new: str, line: int, rule: str) -> None:
    assert old in TABLE
    report = check_bundle(bundle(TABLE.replace(old, new)))
    expected = [(f"systems/a.yaml:{line}", rule)] if line else []
    assert [(each.here, each.rule) for each in report.findings] == expected


def test_json_has_no_root_to_choose_by() -> None:
    table = TABLE.replace("format: xml", "format: json").replace('namespaces: {d: "urn:d"}\n', "")
    report = check_bundle(
        bundle(table.replace("    root: d:T\n", "").replace("d:Dau/d:", "dau.").replace("d:Dau/@", ""))
    )
    assert {each.rule for each in report.findings} == {"unsupported"}

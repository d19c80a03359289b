"""What the loader refuses in a contract folder, with file and line; bundles; the check."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.canonical.patterns import pattern_fault
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.proof.check import check

FOLDERS = {folder.parent.name: folder for folder in catalogue_folders()}


def broken(
    contract: str, changes: dict[str, Callable[[str], str] | None], added: dict[str, str] | None = None
) -> list[Any]:
    files = dict(Bundle.from_folder(FOLDERS[contract]).files)
    for path, change in changes.items():
        before = files.pop(path).decode()
        if change is not None:
            after = change(before)
            assert after != before, "the change changed nothing"
            files[path] = after.encode()
    files.update({path: text.encode() for path, text in (added or {}).items()})
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of(files))
    assert caught.value.code == "contract.invalid"
    return list(caught.value.findings)


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


SCHEMA, YAML = "schema.json", "contract.yaml"


# Where the finding stands at another place than the fault that was put in.
ELSEWHERE: dict[tuple[str, str], str] = {
    ('"additionalProperties": false', '"additionalProperties": true'): "schema.json:7",
    ("canonical: description", "canonical: area"): "systems/do-thi-xml.yaml:14",
    ("901,an-ninh", "901,xay-dung"): "systems/do-thi-xml.yaml:12",
}


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (SCHEMA, '"maxLength": 500,', '"maxLength": 500, "not": {},', "a negation cannot be said in XSD"),
        (SCHEMA, '"title": "Vĩ độ"', '"multipleOf": 2', "cannot be said in XSD"),
        (SCHEMA, '"minItems": 1, "maxItems": 50', '"maxItems": 50', "minItems of 1 or more"),
        (SCHEMA, "^[+]?[0-9 ]{3,20}$", "[0-9]", "anchored"),
        (SCHEMA, "^[+]?[0-9 ]{3,20}$", "^\\\\d+$", "differ between XSD and ECMA 262"),
        (SCHEMA, '"codes": "area"', '"codes": "nowhere"', "codes/<name>.csv"),
        (SCHEMA, '"format": "date-time"', '"format": "email"', "date-time or date"),
        (SCHEMA, '"$ref": "#/$defs/Attribute"', '"$ref": "http://x/y"', "#/$defs/"),
        (SCHEMA, '"additionalProperties": false', '"additionalProperties": true', '"additionalProperties": false'),
        (SCHEMA, '"required": ["service_code"', '"required": ["nope", "service_code"', "names of properties"),
        (SCHEMA, '"type": "number", "title": "Vĩ độ"', '"type": ["number", "null"]', "one type of"),
        (SCHEMA, '"address_id":', '"absent":', "never `absent`"),
        (SCHEMA, "2020-12", "2019-09", "draft 2020-12"),
        (SCHEMA, '"title": "field-report/v1",', '"title": "a", "title": "b",', "each key once"),
        (YAML, "id: field-report", "id: Field_Report", "a text of the shape"),
        (YAML, "id: field-report", "id: feeds", "another id"),
        (YAML, "pattern: dispatch", "pattern: push", "query, submit or dispatch"),
        (YAML, "request: ServiceRequest", "request: Nothing", "a message of schema.json"),
        (YAML, "method: POST", "method: GET", "GET (for a query) or POST"),
        (YAML, "idempotent: true", "idempotant: true", "one of answer, event, feed, idempotent"),
        (YAML, "version: 1.2.0", "version: one", "three numbers, as 1.2.0"),
        (YAML, "retention_months: 24", "retention_months: 1", "3 or more"),
        (YAML, "protection: signed", "evidence: some", "full, metadata or none"),
        (YAML, "protection: signed", "id: again", "each key once"),
        (YAML, "protection: signed", "protection: sealed", "signed or encrypted"),
        ("systems/do-thi-xml.yaml", "here: dt:NoiDung", "here: dt:LinhVuc", "one row a place"),
        ("systems/do-thi-xml.yaml", "canonical: description", "canonical: area", "one row a field"),
        ("systems/do-thi-xml.yaml", "canonical: description", "canonical: nope", "the path of one value"),
        ("systems/do-thi-xml.yaml", "dt:ThuocTinh[]/@ma", "dt:ThuocTinh/@ma", "a [] here for each []"),
        ("systems/do-thi-xml.yaml", "here: dt:NoiDung", "here: xx:NoiDung", "a prefix of namespaces"),
        ("systems/do-thi-xml.yaml", "codes: linh-vuc", "codes: nope", "codes/<name>.csv"),
        ("systems/do-thi-xml.yaml", ', zone: "+07:00"', "", "what a time without zone means"),
        ("systems/do-thi-xml.yaml", "unknown: KHONG_RO", "unknown: 0123", "cannot be a value"),
        ("systems/do-thi-xml.yaml", "root: dt:PhieuPhanAnh", "root: dt:A/dt:B", "one element"),
        ("systems/do-thi-xml.yaml", "createRequest:", "other:", "an operation of contract.yaml"),
        ("codes/linh-vuc.csv", "901,an-ninh", "901,xay-dung", "a code for every canonical value"),
        ("codes/linh-vuc.csv", "901,an-ninh", "901,an-toan", "a value of service_code"),
        ("codes/linh-vuc.csv", "102,chieu-sang", "101,chieu-sang", "each code once"),
        ("codes/area.csv", "01288,Phường Tân Giang", "01288", "cells"),
        ("codes/area.csv", "2025-07-01,,,04\n01279", "2025-07-01,,09999,04\n01279", "a code of this table"),
        ("codes/area.csv", "2025-07-01,,,04\n01279", "2025-07-01,,,09\n01279", "another code of this table"),
        (
            YAML,
            "event: {area: area}",
            "event: {area: phones}",
            "the path of a text, the code of an administrative unit",
        ),
        (YAML, "event: {area: area}", "event: {made: area}", "the path of a date and time"),
        (YAML, "event: {area: area}", "event: {expires: area}", "no time of expiry: what was dispatched has ended"),
        ("codes/area.csv", "code,vi", "ma,vi", "the columns"),
    ],
)
def test_each_fault_names_file_and_line(path: str, old: str, new: str, expected: str) -> None:
    before = Bundle.from_folder(FOLDERS["field-report"]).files[path].decode()
    line = before[: before.index(old)].count("\n") + 1
    found = broken("field-report", {path: swap(old, new)})
    assert ELSEWHERE.get((old, new), f"{path}:{line}") in [each.here for each in found if expected in each.expected], (
        found
    )


def test_a_field_that_no_row_names_must_be_dropped_by_name() -> None:
    found = broken(
        "field-report", {"systems/do-thi-xml.yaml": lambda text: re.sub(r".*canonical: media_url.*\n", "", text)}
    )
    assert [each.canonical for each in found] == ["media_url"] and "drops" in found[0].expected
    found = broken(
        "field-report", {"systems/do-thi-xml.yaml": lambda text: re.sub(r".*canonical: area,.*\n", "", text)}
    )
    assert [(each.canonical, each.rule) for each in found] == [("area", "required")]


def test_a_required_field_needs_a_word_for_every_absence() -> None:
    found = broken("indicator", {"systems/kinh-te-json.yaml": swap(", not-permitted: KDP", "")})
    assert [(each.canonical, each.rule) for each in found] == [("value", "absent")]


def test_nothing_of_an_encrypted_contract_stands_in_an_address() -> None:
    found = broken("indicator", {YAML: swap("protection: signed", "protection: encrypted")})
    assert [(each.canonical, each.got) for each in found] == [("operations.getValue.method", "GET")] and found[
        0
    ].here.startswith(f"{YAML}:")
    found = broken(
        "dossier-status", {"systems/mot-cua-json.yaml": swap("method: POST, path: /api", "method: GET, path: /api")}
    )
    assert [(each.canonical, each.got) for each in found] == [("operations.getStatus.method", "'GET'")]


def test_files_out_of_place() -> None:
    found = broken("field-report", {SCHEMA: None})
    assert found[0].here == "schema.json"
    found = broken(
        "field-report",
        {},
        {
            "notes.yaml": "a: 1",
            "samples/canonical/Nope.x.json": "{}",
            "samples/do-thi-xml/ServiceRequest.y.xml": "<a/>",
        },
    )
    assert {each.here for each in found} == {
        "notes.yaml",
        "samples/canonical/Nope.x.json",
        "samples/do-thi-xml/ServiceRequest.y.xml",
    }


@pytest.mark.parametrize("pattern", ["^[a-z]+$", "^(a|b)[^ \\t,<&]{1,3}$", "^[+]?[0-9 ]{3,20}$", "^\\[x\\]$", "^$"])
def test_patterns_of_the_profile(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "^a",
        "^a|b$",
        "^a.b$",
        "^(?:a)$",
        "^(?=a)$",
        "^a$b$",
        "^a*?$",
        "^[a-[b]]$",
        "^\\w$",
        "^\\/$",
        "^[a$",
        "^a{2}+$",
    ],
)
def test_patterns_that_mean_two_things(pattern: str) -> None:
    assert pattern_fault(pattern) is not None


def test_bundles_are_byte_stable_and_immutable_in_form() -> None:
    one = Bundle.from_folder(FOLDERS["indicator"])
    two = Bundle.of(dict(reversed(list(one.files.items()))))
    assert one.digest == two.digest and one.to_bytes() == two.to_bytes() and one.digest.startswith("sha256:")
    assert Bundle.from_bytes(one.to_bytes()) == one
    for path in ("../x.yaml", "/x", "a\\b", "a//b"):
        with pytest.raises(Theirs):
            Bundle.of({path: b""})
    for raw in (b"", b"{}", b'{"format":"x","files":{}}', b'{"format":"lgsp-contract-bundle/1","files":{"a":"*"}}'):
        with pytest.raises(Theirs):
            Bundle.from_bytes(raw)


@pytest.mark.parametrize("name", list(FOLDERS))
def test_the_catalogue_is_proved(name: str) -> None:
    report = check(FOLDERS[name])
    assert report.ok, report.findings
    assert report.contract == f"{name}/v1" and len(report.proved) >= 4


def test_a_twin_that_lies_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    for path, raw in Bundle.from_folder(FOLDERS["indicator"]).files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw.replace(b"612.450", b"612.451") if path.endswith("canonical.json") else raw)
    report = check(folder)
    assert [(each.here, each.canonical, each.rule) for each in report.findings] == [
        ("samples/chi-tieu-csv/IndicatorValues.quy-3.csv", "values[0].value", "sample"),
        ("samples/chi-tieu-xlsx/IndicatorValues.quy-3.xlsx", "values[0].value", "sample"),
        ("samples/kinh-te-json/IndicatorValue.thu-ngan-sach.json", "value", "sample"),
    ]
    (folder / "contract.yaml").write_text("id: [", encoding="utf-8")
    assert not check(folder).ok

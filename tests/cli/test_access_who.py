"""`lgsp access who` and `lgsp access matrix --personal`: every receiver of personal data is named."""

from __future__ import annotations

import csv
import json
from typing import Any

from gateway.settings import Settings
from tests import commandline


def lgsp(sandbox: Settings, *words: str, ends: int = 0) -> str:
    code, out, err = commandline.lgsp("access", *words, "--data", str(sandbox.data))
    assert code == ends, out + err
    return out + err


def told(sandbox: Settings, *words: str, ends: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lgsp(sandbox, *words, "--json", ends=ends))
    return found


def test_the_matrix_names_telephone_numbers(sandbox: Settings) -> None:
    """What a review looks for first: `access matrix | grep -i phone`."""
    lines = [each.split() for each in lgsp(sandbox, "matrix").splitlines() if "phone" in each]
    assert ["+", "phone", "[basic]"] in lines and ["-", "responsible.phone", "[basic]"] in lines
    assert ["+", "values[].responsible.phone", "[basic]"] in lines


def test_who_receives_telephone_numbers(sandbox: Settings) -> None:
    found = told(sandbox, "who", "--field", "phone")
    papers = {each["agency"] for each in found["receivers"] if each["contract"] == "official-document/v1"}
    assert papers == {"H14.3", "H14.4", "H14.5"}, "who sends and gets documents sees the telephones of agencies"
    rows = [each for each in found["receivers"] if each["contract"] != "official-document/v1"]
    assert {(each["agency"], each["how"], each["operation"], *each["systems"]) for each in rows} == {
        ("H14.0", "answer", "getValue", "dieu-hanh"),
        ("H14.0", "feed", "feed", "dieu-hanh"),
        ("H14.22", "request", "createRequest", "truong-ha"),
        ("H14.3", "request", "createRequest", "do-thi"),
        ("H14.5", "request", "dispatchAlert", "mo-phong"),
    }
    assert all(each["personal"] == "basic" and each["grants"] and each["until"] for each in rows)
    assert {each["system"] for each in found["files"]} == {"so-lieu"} and found["unreceived"] == []
    of_one = told(sandbox, "who", "--field", "field-report:phone")
    assert {each["contract"] for each in of_one["receivers"]} == {"field-report/v1"}
    lines = [each for each in lgsp(sandbox, "who", "--field", "field-report:phone").splitlines() if "by route" in each]
    assert len(lines) == 2 and all("ServiceRequest.phone" in each and "personal" in each for each in lines)


def test_personal_fields_alone(sandbox: Settings) -> None:
    rows = told(sandbox, "who", "--personal")["receivers"]
    assert rows and all(each["personal"] in ("basic", "sensitive") for each in rows)
    sensitive = told(sandbox, "who", "--sensitive")["receivers"]
    assert {(each["agency"], each["contract"]) for each in sensitive} == {("H14.5", "reference-query/v1")}
    one = told(sandbox, "matrix", "--personal", "--agency", "H14.3", "--contract", "field-report/v1")["matrix"]
    assert [(each["how"], each["systems"]) for each in one] == [("request", ["do-thi"])]
    assert one[0]["personal"]["ServiceRequest: phone"] == "basic" and "ServiceRequest: area" not in one[0]["visible"]


def test_a_table_for_spreadsheets(sandbox: Settings) -> None:
    rows = list(csv.DictReader(lgsp(sandbox, "who", "--personal", "--csv").splitlines()))
    assert {each["until"] for each in rows} == {"2031-01-01T00:00+07:00"}, "the time in Vietnam, as in the list"
    assert len(rows) == len(told(sandbox, "who", "--personal")["receivers"])
    assert {"agency", "systems", "how", "field", "personal", "grants", "until"} <= set(rows[0])


def test_what_is_asked_wrongly(sandbox: Settings) -> None:
    assert "--personal" in lgsp(sandbox, "who", ends=2)
    assert "phone" in lgsp(sandbox, "who", "--field", "phne", ends=2)
    assert "H14.3" in lgsp(sandbox, "matrix", "--agency", "H14.33", ends=2)
    assert "field-report/v1" in lgsp(sandbox, "matrix", "--contract", "field-reports/v1", ends=2)

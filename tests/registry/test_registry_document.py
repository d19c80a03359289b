"""The registry document: what is taken, and that everything wrong is reported at once, with its path."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from contracts.base.errors import Theirs
from gateway.registry.changes.content import endpoint_text
from gateway.registry.changes.document import parse
from gateway.registry.store import callback_of, drop_of
from tests.registry.making import ENDPOINTS, PROVINCE, contracts, province


def findings(text: str, endpoints: dict[str, str] | None = None) -> dict[str, str]:
    """Path -> rule of what is wrong with a document."""
    with pytest.raises(Theirs) as caught:
        parse(text, contracts(), ENDPOINTS if endpoints is None else endpoints)
    assert caught.value.code == "registry.invalid"
    assert caught.value.facts["count"] == len(caught.value.findings)
    return {found.here: found.rule for found in caught.value.findings}


def changed(**edits: Any) -> str:
    """The province with some of its parts replaced: `systems_0_agency` is `systems[0].agency`; None removes."""
    raw = yaml.safe_load(PROVINCE)
    for path, value in edits.items():
        at = raw
        *steps, last = [int(step) if step.isdecimal() else step for step in path.split("__")]
        for step in steps:
            at = at[step]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return yaml.safe_dump(raw, allow_unicode=True)


def at(system: str) -> str:
    """Where a system stands in the document."""
    ids = [each["id"] for each in yaml.safe_load(PROVINCE)["systems"]]
    return f"systems[{ids.index(system)}]"


def test_the_sandbox_province_holds() -> None:
    document = province()
    systems = {system.id: system for system in document.systems}
    assert len(document.agencies) == 9 and len(systems) >= 9
    assert systems["do-thi"].endpoint is not None and systems["do-thi"].endpoint.kind == "soap"
    assert systems["canh-bao"].format("incident-alert/v1") == "cap12"
    assert systems["y-te"].format("indicator/v1") == "canonical"
    grants = {each.grant.id: each.grant for each in document.grants}
    assert grants["G-0006"].fields == ("*", "!responsible")
    assert not any(grant.approved_by or each.signed for each in document.grants for grant in [each.grant]), (
        "a document approves nothing"
    )
    assert document.officers is not None and [each.id for each in document.officers] == [
        "can-bo-an-toan-1",
        "can-bo-an-toan-2",
    ]
    assert not any(grant.agency == "H14.21" for grant in grants.values())


def test_a_grant_ends_with_its_last_day_in_vietnam() -> None:
    grant = next(each.grant for each in province().grants if each.grant.id == "G-0001")
    assert grant.valid_from == 1_767_200_400.0  # 2026-01-01T00:00+07:00
    assert grant.valid_until == 1_924_966_800.0 + 0  # 2031-01-01T00:00+07:00


def test_everything_wrong_is_reported_at_once() -> None:
    text = changed(
        agencies__0__code="h14",
        agencies__1__contact__phone=None,
        agencies__2__name__en=None,
        systems__0__agency="H99",
        systems__1__formats={"incident-alert/v1": "cap13", "no-such/v1": "canonical"},
        routes__0__when={"no_such_field": ["1"]},
        routes__2__operation="getNothing",
        grants__0__approved_by=["can-bo-an-toan-1", "can-bo-an-toan-2"],
        grants__3__hours={"days": ["mon"], "from": "7h", "until": "17:30"},
        grants__6__quota={"calls": 10, "per": "week"},
        grants__1__operations=["submitAlert", "sing"],
        grants__2__valid_until=None,
        grants__5__fields=["*", "!nothing"],
        grants__4__agency="H14.0",
    )
    found = findings(text)
    expected = {
        "agencies[0].code": "pattern",
        "agencies[1].contact.phone": "required",
        "agencies[2].name.en": "required",
        "systems[0].agency": "reference",
        "systems[1].formats.incident-alert/v1": "reference",
        "systems[1].formats.no-such/v1": "reference",
        "routes[0].when": "reference",
        "routes[2].operation": "reference",
        "grants[0].approved_by": "unknown",
        "grants[3].hours": "format",
        "grants[6].quota": "format",
        "grants[1].operations[1]": "reference",
        "grants[2].valid_until": "required",
        "grants[5].fields": "reference",
        "grants[4]": "choice",
    }
    assert expected.items() <= found.items()


def test_a_field_that_cannot_be_shown_as_absent_cannot_be_hidden() -> None:
    assert findings(changed(grants__5__fields=["*", "!indicator"]))["grants[5].fields"] == "reference"


def receiving(**change: object) -> dict[str, str]:
    """What is wrong with a grant to receive that is changed so."""
    return findings(changed(**{f"grants__11__{name}": value for name, value in change.items()}))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"operations": ["feed"]}, {"grants[11].operations[0]": "reference"}),
        ({"contract": "indicator/v1", "operations": ["submitValues"]}, {"grants[11].operations[0]": "reference"}),
        ({"contract": "observation/v1", "operations": ["*"]}, {"grants[11].operations[0]": "reference"}),
        ({"hours": {"days": ["mon"], "from": "07:00", "until": "17:30"}}, {"grants[11].hours": "unknown"}),
        ({"quota": {"calls": 1, "per": "day"}}, {"grants[11].quota": "unknown"}),
        ({"receives": "yes"}, {"grants[11].receives": "type"}),
        ({"adopted": True}, {"grants[11].adopted": "unknown"}),
        ({"fields": ["*", "!status"]}, {"grants[11].fields": "reference"}),
        ({"fields": ["*", "!description"]}, {"grants[11].fields": "reference"}),
    ],
)
def test_a_grant_to_receive_names_requests_and_has_no_hours(change: dict[str, object], wrong: dict[str, str]) -> None:
    """`status` is of the answer; `description` cannot be absent."""
    assert receiving(**change) == wrong


@pytest.mark.parametrize("change", [{"fields": ["*", "!email"]}, {"operations": ["*"]}])
def test_a_grant_to_receive_may_hide_what_can_be_absent(change: dict[str, object]) -> None:
    document = province(changed(**{f"grants__11__{name}": value for name, value in change.items()}))
    assert document.grants[11].grant.receives


def test_a_query_cannot_show_that_a_field_is_hidden() -> None:
    """The question about a dossier has nothing that can be absent, so nothing of it can be hidden."""
    text = changed(grants__14__fields=["*", "!dossier_id"])
    assert findings(text)["grants[14].fields"] == "reference"


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "https://", "https://host/x?y=1", "ftp://host", "https://host/#x"]
)
def test_an_endpoint_is_an_https_address(url: str) -> None:
    assert findings(PROVINCE, {**ENDPOINTS, "kinh-te": url}) == {f"{at('kinh-te')}.endpoint.url": "format"}


def test_a_placeholder_needs_its_address() -> None:
    assert findings(
        PROVINCE, {name: value for name, value in ENDPOINTS.items() if name not in ("kinh-te", "truong-ha")}
    ) == {
        f"{at('kinh-te')}.endpoint.url": "placeholder",
        f"{at('truong-ha')}.endpoint.url": "placeholder",
    }


def test_a_drop_folder_says_what_its_files_are() -> None:
    folder = at("so-lieu") + ".endpoint"
    number = folder.partition("[")[2].partition("]")[0]
    rule = {"match": "*.csv", "contract": "indicator/v1", "operation": "submitValues", "format": "chi-tieu-csv"}

    def wrong(**endpoint: Any) -> dict[str, str]:
        return findings(
            changed(
                **{f"systems__{number}__endpoint": {"kind": "files", "folder": "so-lieu", "rules": [rule]} | endpoint}
            )
        )

    assert wrong(folder="../keys") == {f"{folder}.folder": "pattern"}
    assert wrong(rules=[]) == {f"{folder}.rules": "required"}
    assert wrong(url="https://x") == {f"{folder}.url": "unknown"}
    first = f"{folder}.rules[0]"
    assert wrong(rules=[rule | {"operation": "getValue"}]) == {f"{first}.operation": "reference"}, (
        "nobody waits for an answer"
    )
    assert wrong(rules=[rule | {"format": "kinh-te-json"}]) == {f"{first}.format": "reference"}, "no table"
    assert wrong(rules=[rule | {"contract": "no-such/v1"}]) == {f"{first}.contract": "reference"}
    assert wrong(rules=[rule | {"contract": "dossier-status/v1"}]) == {f"{first}.contract": "protection"}, (
        "a file lies there in clear"
    )
    other = {"id": "hai", "agency": "H14.4", "title": {"vi": "Hai", "en": "Two"}}
    raw = yaml.safe_load(PROVINCE)
    raw["systems"].append(other | {"endpoint": {"kind": "files", "folder": "so-lieu", "rules": [rule]}})
    assert findings(yaml.safe_dump(raw)) == {f"systems[{len(raw['systems']) - 1}].endpoint.folder": "unique"}
    assert findings(changed(routes__0__system="so-lieu")) == {"routes[0].system": "reference"}, "it cannot be called"


def test_a_system_may_have_an_address_for_callbacks() -> None:
    """With an endpoint, and without one. The address is approved with the endpoint, and makes nobody called."""
    for name in ("phan-anh", "truong-ha"):
        path = at(name)
        number = path.partition("[")[2].partition("]")[0]
        told = "https://his.tinh.vn/lgsp/callback"
        systems = {each.id: each for each in province(changed(**{f"systems__{number}__callback": told})).systems}
        assert systems[name].callback == told and (systems[name].endpoint is not None) is (name == "truong-ha")
        text = endpoint_text(systems[name])
        assert text is not None and callback_of(text) == told and drop_of(text) is None
        for wrong in ("http://his.tinh.vn/x", "https://his.tinh.vn/x?to=y", "https://a@his.tinh.vn/", "his", 7):
            assert set(findings(changed(**{f"systems__{number}__callback": wrong}))) == {f"{path}.callback"}, wrong
    raw = yaml.safe_load(changed(**{f"systems__{at('phan-anh').partition('[')[2].partition(']')[0]}__callback": told}))
    raw["routes"][0]["system"] = "phan-anh"
    assert findings(yaml.safe_dump(raw)) == {"routes[0].system": "reference"}, "it cannot be called"


def test_an_operation_has_one_fallback() -> None:
    raw = yaml.safe_load(PROVINCE)
    raw["routes"][1]["when"] = {"area": ["01273"]}
    assert findings(yaml.safe_dump(raw)) == {"routes": "fallback"}


def test_a_route_leads_to_a_system_that_listens() -> None:
    assert findings(changed(routes__0__system="y-te")) == {"routes[0].system": "reference"}


def test_ids_are_unique() -> None:
    text = changed(systems__1__id="canh-bao", agencies__1__code="H14.0", grants__1__id="G-0001")
    assert {"systems[1].id", "agencies[1].code", "grants[1].id"} <= set(findings(text))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("agencies: [", "line 1"),
        ("agencies: []\nagencies: []\n", "line 2"),
        ("- a\n", "document"),
        ("what: {}\n", "what"),
        ("agencies: {}\n", "agencies"),
        ("agencies: [5]\n", "agencies[0]"),
    ],
)
def test_a_document_of_another_shape_is_refused(text: str, where: str) -> None:
    assert where in findings(text)


def test_yaml_makes_no_objects() -> None:
    assert findings("agencies: !!python/object/apply:os.system ['true']\n")


def test_a_prohibition_needs_no_second_officer() -> None:
    document = province(changed(grants__0__denies=True))
    assert document.grants[0].grant.denies

"""Field masks: what is hidden never leaves, and is told apart from what is missing."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def value(catalogue: Any, name: str = "thu-ngan-sach") -> Any:
    compiled = catalogue["indicator/v1"]
    sample = next(each for each in compiled.samples if each.name == name and each.message == "IndicatorValue")
    return compiled, compiled.codec("canonical").read_json("IndicatorValue", sample.canonical)


def test_a_hidden_field_becomes_not_permitted(catalogue: Any) -> None:
    compiled, full = value(catalogue)
    mask = compiled.mask("IndicatorValue", ["*", "!responsible"])
    seen = mask(full)
    assert seen == {**full, "responsible": {"absent": "not-permitted"}} and full["responsible"]["name"]
    assert compiled.validate("IndicatorValue", seen) == []
    for media in (
        compiled.codec("canonical").write_json("IndicatorValue", seen),
        compiled.codec("canonical").write_xml("IndicatorValue", seen),
    ):
        assert full["responsible"]["name"].encode() not in media


def test_what_is_missing_stays_missing(catalogue: Any) -> None:
    compiled, full = value(catalogue, "chua-co-so-lieu")
    assert compiled.mask("IndicatorValue", ["!responsible"])(full) == full


def test_everything_seen_is_no_mask(catalogue: Any) -> None:
    compiled, full = value(catalogue)
    assert compiled.mask("IndicatorValue", ["*"]) is None
    named = [field.name for field in compiled.messages["IndicatorValue"].fields]
    assert compiled.mask("IndicatorValue", named)({**full, "taken_back": 1}) == full


def test_a_list_of_visible_fields_hides_the_rest(catalogue: Any) -> None:
    compiled, full = value(catalogue)
    shown = [
        field.name for field in compiled.messages["IndicatorValue"].fields if field.name not in ("responsible", "value")
    ]
    assert compiled.check_fields("IndicatorValue", shown) == []
    seen = compiled.mask("IndicatorValue", shown)(full)
    assert seen["value"] == seen["responsible"] == {"absent": "not-permitted"}


def test_problems_of_field_lists(catalogue: Any) -> None:
    compiled, _ = value(catalogue)
    assert compiled.check_fields("IndicatorValue", ["*", "!responsible"]) == []
    assert "does not have" in compiled.check_fields("IndicatorValue", ["nope"])[0]
    assert "absentable" in compiled.check_fields("IndicatorValue", ["*", "!unit"])[0]
    assert "absentable" in compiled.check_fields("IndicatorValue", ["*", "!responsible.phone"])[0]
    assert compiled.check_fields("IndicatorValue", [])
    assert compiled.check_fields("Nope", ["*"]) == ["no message Nope"]
    alert = catalogue["incident-alert/v1"]
    assert alert.check_fields("Alert", ["info[].area"]) and alert.check_fields("Alert", ["info.area.areaDesc"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_nothing_hidden_survives_in_any_list(catalogue: Any, values_of: Any, data: st.DataObject) -> None:
    compiled = catalogue["incident-alert/v1"]
    full = data.draw(values_of(compiled, "Alert"))
    seen = compiled.mask("Alert", ["*", "!info.area.geocode", "!note"])(full)
    assert "note" not in seen
    assert all("geocode" not in area for info in seen.get("info", ()) for area in info.get("area", ()))
    assert [info["event"] for info in seen.get("info", ())] == [info["event"] for info in full.get("info", ())]

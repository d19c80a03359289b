"""What is wrong in a message is named with its path in the sender's own format, its kind, and what would have been
right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Failure, Finding, Theirs
from contracts.wire.soap import parse_xml
from tests.cost import seconds

CAP = "urn:oasis:names:tc:emergency:cap:1.2"


def sample(compiled: Any, format_name: str, name: str) -> Any:
    return next(each for each in compiled.samples if each.format == format_name and each.name == name)


def refused(work: Any, code: str = "message.invalid") -> list[Finding]:
    with pytest.raises(Theirs) as caught:
        work()
    assert caught.value.code == code
    return list(caught.value.findings)


def cap(catalogue: Any, old: str, new: str) -> list[Finding]:
    compiled = catalogue["incident-alert/v1"]
    raw = sample(compiled, "cap12", "lu-quet-tra-linh").raw.decode()
    assert old in raw
    return refused(lambda: compiled.codec("cap12").read_xml("Alert", parse_xml(raw.replace(old, new, 1).encode())))


@pytest.mark.parametrize(
    ("old", "new", "here", "canonical", "rule"),
    [
        ("<cap:scope>Public</cap:scope>", "", "cap:alert/cap:scope", "scope", "required"),
        (">Actual<", ">Thật<", "cap:alert/cap:status", "status", "code"),
        (">Actual<", "> Actual<", "cap:alert/cap:status", "status", "code"),
        (
            "2026-08-14T03:20:00+07:00</cap:sent>",
            "2026-08-14T03:20:00</cap:sent>",
            "cap:alert/cap:sent",
            "sent",
            "format",
        ),
        (
            "2026-08-14T03:20:00+07:00</cap:sent>",
            "2026-08-14T03:20:00Z</cap:sent>",
            "cap:alert/cap:sent",
            "sent",
            "pattern",
        ),
        (">284119<", ">284 kB<", "cap:alert/cap:info/cap:resource/cap:size", "info[0].resource[0].size", "type"),
        (">2050.5<", ">2050,5<", "cap:alert/cap:info/cap:area[1]/cap:altitude", "info[0].area[0].altitude", "type"),
        (
            "<cap:areaDesc>Xã Quang Hán</cap:areaDesc>",
            "",
            "cap:alert/cap:info[1]/cap:area[2]/cap:areaDesc",
            "info[0].area[1].areaDesc",
            "required",
        ),
        ("<cap:event>", "<cap:la/><cap:event>", "cap:alert/cap:info/cap:la", "", "unknown"),
        ("<cap:event>", "chữ lạc<cap:event>", "cap:alert/cap:info", "", "unknown"),
        ("<cap:status>", "<cap:status>Test</cap:status><cap:status>", "cap:alert/cap:status[2]", "", "repeated"),
        ("<cap:status>", '<cap:status x="1">', "cap:alert/cap:status/@x", "status", "unknown"),
        (">Actual<", "><b>Actual</b><", "cap:alert/cap:status/b", "status", "unknown"),
    ],
)
def test_a_cap_alert_that_is_wrong(catalogue: Any, old: str, new: str, here: str, canonical: str, rule: str) -> None:
    found = cap(catalogue, old, new)
    assert (here, canonical, rule) in [(each.here, each.canonical, each.rule) for each in found]


def test_values_are_never_quoted(catalogue: Any) -> None:
    found = cap(catalogue, ">Actual<", ">Bí mật<")
    assert all("Bí mật" not in part for each in found for part in (each.here, each.canonical, each.got, each.expected))
    assert (
        found[0].got == "text of 6 characters" and found[0].expected == "one of Actual, Exercise, System, Test, Draft"
    )


def test_comments_and_cdata_are_taken_and_whitespace_is_kept(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    raw = sample(compiled, "cap12", "lu-quet-tra-linh").raw.decode()
    raw = raw.replace("<cap:event>Lũ quét, sạt lở đất<", "<!-- x --><cap:event>  Lũ <!-- y --><![CDATA[& quét]]>\n <")
    value = compiled.codec("cap12").read_xml("Alert", parse_xml(raw.encode()))
    assert value["info"][0]["event"] == "  Lũ & quét\n "
    assert value["info"][0]["parameter"][1]["value"] == ""


def test_another_version_of_cap_is_named(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    raw = sample(compiled, "cap12", "huy-canh-bao").raw.replace(b"cap:1.2", b"cap:1.1")
    refused(lambda: compiled.codec("cap12").read_xml("Alert", parse_xml(raw)), "message.wrong-root")


@pytest.mark.parametrize(
    ("change", "here", "canonical", "rule"),
    [
        (lambda m: m["chiTiet"][0].update(mucDo="2"), "chiTiet[0].mucDo", "info[0].severity", "type"),
        (lambda m: m["chiTiet"][0].update(mucDo=7), "chiTiet[0].mucDo", "info[0].severity", "code"),
        (lambda m: m["chiTiet"][0]["nhom"].append(77), "chiTiet[0].nhom[2]", "info[0].category[2]", "code"),
        (lambda m: m.update(thoiDiem="20261324141530"), "thoiDiem", "sent", "format"),
        (lambda m: m.update(thoiDiem="2026-11-24"), "thoiDiem", "sent", "format"),
        (lambda m: m.update(maCanhBao=12), "maCanhBao", "identifier", "type"),
        (lambda m: m.pop("maCanhBao"), "maCanhBao", "identifier", "required"),
        (lambda m: m.update(la=1), "la", "", "unknown"),
        (
            lambda m: m["chiTiet"][0]["khuVuc"][0].update(doCao="6.5"),
            "chiTiet[0].khuVuc[0].doCao",
            "info[0].area[0].altitude",
            "type",
        ),
        (
            lambda m: m["chiTiet"][0]["khuVuc"][0].pop("diaDiem"),
            "chiTiet[0].khuVuc[0].diaDiem",
            "info[0].area[0].areaDesc",
            "required",
        ),
        (lambda m: m.update(chiTiet={}), "chiTiet", "info", "type"),
        (lambda m: m.update(chiTiet=[1]), "chiTiet[0]", "info[0]", "type"),
        (lambda m: m.update(ghiChu=None), "ghiChu", "note", "type"),
    ],
)
def test_a_json_alert_that_is_wrong(catalogue: Any, change: Any, here: str, canonical: str, rule: str) -> None:
    compiled = catalogue["incident-alert/v1"]
    message = json.loads(sample(compiled, "bao-chay-json", "chay-cho-xanh").raw)
    change(message)
    found = refused(lambda: compiled.codec("bao-chay-json").read_json("Alert", json.dumps(message).encode()))
    assert (here, canonical, rule) in [(each.here, each.canonical.removesuffix("[]"), each.rule) for each in found]
    assert len(found) == 1, found


def test_the_table_is_named_with_its_first_codes(catalogue: Any) -> None:
    compiled = catalogue["field-report/v1"]
    found = refused(
        lambda: compiled.codec("canonical").read_json(
            "ServiceRequest", b'{"service_code":"x","area":"01273","description":"d"}'
        )
    )
    assert found == [
        Finding(
            "service_code",
            "service_code",
            "text of 1 characters",
            "code",
            "a code of the table service-code: duong-sa, chieu-sang, thoat-nuoc, rac-thai, cay-xanh, xay-dung, an-ninh",
        )
    ]


@pytest.mark.parametrize(
    ("raw", "here", "rule"),
    [
        (b'{"lat":"1"}', "lat", "type"),
        (b'{"lat":91}', "lat", "range"),
        (b'{"lat":90.0000000000000000000001}', "lat", "range"),
        (b'{"attribute":[]}', "attribute", "length"),
        (b'{"attribute":[{"code":"a","value":"b","x":1}]}', "attribute[0].x", "unknown"),
        (b'{"phone":{"absent":"because"}}', "phone.absent", "absent"),
        (b'{"description":{"absent":"none"}}', "description", "type"),
        (b'{"phone":null}', "phone", "type"),
        (b"[]", "", "type"),
        (b'{"area":"99999"}', "area", "code"),
    ],
)
def test_a_canonical_message_that_is_wrong(catalogue: Any, raw: bytes, here: str, rule: str) -> None:
    codec = catalogue["field-report/v1"].codec("canonical")
    found = refused(lambda: codec.read_json("ServiceRequest", raw))
    assert (here, here, rule) in [(each.here, each.canonical, each.rule) for each in found]


def test_one_point_zero_is_no_integer(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    raw = sample(compiled, "cap12", "lu-quet-tra-linh").canonical
    for number in (b"284119.0", b"2.84119E5"):
        found = refused(
            lambda number=number: compiled.codec("canonical").read_json("Alert", raw.replace(b"284119", number))
        )
        assert [(each.here, each.rule) for each in found] == [("info[0].resource[0].size", "type")]


NS = "urn:lgsp:contract:indicator:v1"
VALUE = (
    f'<getValueResponse xmlns="{NS}" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><indicator>KT-05</indicator><area>04</area><period>2026-Q3</period>'
    "<frequency>Q</frequency><unit>t</unit>{value}<status>final</status>{rest}<updated>2026-10-05T08:30:00+07:00</updated></getValueResponse>"
)


@pytest.mark.parametrize(
    ("value", "rest", "here", "rule"),
    [
        ("<value>5</value><note>x</note>", "", "getValueResponse/status", "order"),
        ("<value> 5</value>", "", "getValueResponse/value", "type"),
        ("<value>+5</value>", "", "getValueResponse/value", "type"),
        ("<value>1e3</value>", "", "getValueResponse/value", "type"),
        ("<value/>", "", "getValueResponse/value", "type"),
        ('<value xsi:nil="true"/>', "", "getValueResponse/value", "absent"),
        ('<value absent="none"/>', "", "getValueResponse/value/@absent", "unknown"),
        ('<value xsi:nil="true" absent="x"/>', "", "getValueResponse/value", "absent"),
        ('<value xsi:nil="true" absent="none">5</value>', "", "getValueResponse/value", "absent"),
        (
            "<value>5</value>",
            "<responsible><phone>123</phone></responsible>",
            "getValueResponse/responsible/name",
            "required",
        ),
        ("<value>5</value>", '<responsible xsi:nil="true"/>', "getValueResponse/responsible", "absent"),
        ("", "", "getValueResponse/value", "required"),
    ],
)
def test_canonical_xml_that_is_wrong(catalogue: Any, value: str, rest: str, here: str, rule: str) -> None:
    codec = catalogue["indicator/v1"].codec("canonical")
    found = refused(lambda: codec.read_xml("IndicatorValue", parse_xml(VALUE.format(value=value, rest=rest).encode())))
    assert (here, rule) in [(each.here, each.rule) for each in found]


def test_at_most_twenty_findings(catalogue: Any) -> None:
    codec = catalogue["field-report/v1"].codec("canonical")
    raw = json.dumps({f"x{number}": 1 for number in range(100)}).encode()
    assert len(refused(lambda: codec.read_json("ServiceRequest", raw))) == 20


def test_queries(catalogue: Any) -> None:
    codec = catalogue["indicator/v1"].codec("canonical")
    value = codec.read_query("ValueQuery", "indicator=KT-05&area=04&period=2026-Q3")
    assert value == {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}
    assert codec.read_query("ValueQuery", codec.write_query("ValueQuery", value)) == value
    assert [
        (f.here, f.rule) for f in refused(lambda: codec.read_query("ValueQuery", "indicator=KT-05&area=04&kỳ=1"))
    ] == [
        ("kỳ", "unknown"),
        ("period", "required"),
    ]
    for query in ("area=04&area=05", "area", "=x", "area=%ff"):
        refused(lambda query=query: codec.read_query("ValueQuery", query), "message.not-query")
    with pytest.raises(Theirs) as caught:
        codec.read_query("ValueQuery", "area=0%00")
    assert caught.value.code == "message.character"
    assert caught.value.facts == {"member": "area", "character": "U+0000", "at": 2}


def test_what_a_format_cannot_carry_is_refused_not_lost(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    value = compiled.codec("canonical").read_json("Alert", sample(compiled, "canonical", "chay-rung-nguyen-binh").raw)
    found = refused(lambda: compiled.codec("bao-chay-json").write_json("Alert", value), "message.not-expressible")
    assert found[0].canonical == "scope"


def test_the_wrong_media_is_named(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    refused(lambda: compiled.codec("cap12").read_json("Alert", b"{}"), "message.wrong-media")
    refused(lambda: compiled.codec("bao-chay-json").read_xml("Alert", parse_xml(b"<a/>")), "message.wrong-media")
    # What a format does not map is exchanged in canonical form, in either medium.
    accepted = {"transfer": "t", "messageId": "m", "acceptedAt": "2026-03-02T06:45:01.204Z"}
    assert (
        compiled.codec("cap12").read_json("Accepted", compiled.codec("cap12").write_json("Accepted", accepted))
        == accepted
    )


def test_roots_actions_and_addresses(catalogue: Any) -> None:
    alert, report, indicator = (catalogue[name] for name in ("incident-alert/v1", "field-report/v1", "indicator/v1"))
    assert alert.codec("cap12").soap_roots == {f"{{{CAP}}}alert": ("submitAlert", "Alert")}
    assert alert.codec("canonical").soap_roots == {
        "{urn:lgsp:contract:incident-alert:v1}submitAlert": ("submitAlert", "Alert"),
        "{urn:lgsp:contract:incident-alert:v1}dispatchAlert": ("dispatchAlert", "Alert"),
    }
    assert alert.codec("canonical").soap_answer_roots == {
        "{urn:lgsp:contract:incident-alert:v1}submitAlertResponse": ("submitAlert", "Accepted"),
        "{urn:lgsp:contract:incident-alert:v1}dispatchAlertResponse": ("dispatchAlert", "AlertReceived"),
    }
    assert report.codec("do-thi-xml").soap_action("createRequest").endswith(":TiepNhanPhanAnh")
    assert indicator.codec("canonical").soap_action("getValue") == "urn:lgsp:contract:indicator:v1:getValue"
    assert (
        indicator.codec("kinh-te-json").rest["getValue"].method,
        indicator.codec("kinh-te-json").rest["getValue"].path,
    ) == (
        "POST",
        "/tra-cuu",
    )
    assert indicator.codec("canonical").rest["getValue"].path == "/values"
    with pytest.raises(LookupError):
        alert.codec("nope")


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"5", b"{}"])
def test_any_json_is_answered_with_a_failure_of_ours(catalogue: Any, raw: bytes) -> None:
    for compiled in catalogue.values():
        for codec in compiled.formats.values():
            for message in compiled.exchanged:
                with pytest.raises(Failure):
                    codec.read_json(message, raw)


def test_a_hostile_number_of_faults_costs_little(catalogue: Any) -> None:
    """As a ratio to reading the same bytes alone, since machines differ."""
    many = "<x/>" * 100_000
    reading = seconds(lambda: etree.fromstring(f"<a>{many}</a>"))
    assert len(cap(catalogue, "<cap:event>", f"{many}<cap:event>")) == 20
    assert seconds(lambda: cap(catalogue, "<cap:event>", f"{many}<cap:event>")) < 100 * reading
    codec = catalogue["field-report/v1"].codec("canonical")
    raw = json.dumps({f"x{number}": 1 for number in range(50_000)} | {"attribute": [1] * 50_000}).encode()
    assert len(refused(lambda: codec.read_json("ServiceRequest", raw))) == 20
    assert seconds(lambda: codec.read_json("ServiceRequest", raw)) < 100 * seconds(lambda: json.loads(raw))

"""The messages are complete, valid where the standard says how, and never twice the same."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from examples import misuse
from gateway.sample_client.jsontext import dump_json
from gateway.sample_client.wssec import SOAP, BadEnvelope, new_envelope, parse, serialise, sign, verify
from gateway.sandbox.standins import messages
from gateway.sandbox.standins.messages import CAP

# CAP 1.2, section 3.2: the elements of each block in the order of its schema
ORDER = {
    "alert": "identifier sender sent status msgType source scope restriction addresses code note references "
    "incidents info",
    "info": "language category event responseType urgency severity certainty audience eventCode effective onset "
    "expires senderName headline "
    "description instruction web contact parameter resource area",
    "resource": "resourceDesc mimeType size uri derefUri digest",
    "area": "areaDesc polygon circle geocode altitude ceiling",
}


@pytest.mark.parametrize("seed", range(12))
def test_cap_alerts_keep_to_the_standard(seed: int) -> None:
    root = etree.fromstring(messages.cap_alert(chance=random.Random(seed), now=1795507200.0))
    assert root.tag == f"{{{CAP}}}alert"
    for element in root.iter(etree.Element):
        name = etree.QName(element).localname
        if name in ORDER:
            order, places = ORDER[name].split(), [etree.QName(child).localname for child in element]
            assert places == sorted(places, key=order.index)
            missing = set(order) - set(places)
            assert missing <= {"derefUri"}, f"every optional part is in use, but {missing}"
    assert [info.findtext(f"{{{CAP}}}language") for info in root.findall(f"{{{CAP}}}info")] == ["vi-VN", "en-US"]
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\+07:00", root.findtext(f"{{{CAP}}}sent") or "")
    points = (root.findtext(f".//{{{CAP}}}polygon") or "").split()
    assert len(points) >= 4 and points[0] == points[-1]
    assert not re.search(r"[ ,<&]", root.findtext(f"{{{CAP}}}identifier") or " ")


def test_fire_alarms_and_reports() -> None:
    alarm = messages.fire_alarm(identifier="BC-1", now=1795507200.0, chance=random.Random(1))
    assert alarm["maCanhBao"] == "BC-1" and alarm["thoiDiem"] == "20261124150000"
    assert re.fullmatch(r"[0-9]+,[0-9]{2}", alarm["chiTiet"][0]["khuVuc"][0]["doCao"])
    for seed in range(40):
        report = messages.field_report(chance=random.Random(seed))
        assert report["area"] != messages.TRUONG_HA and isinstance(report["lat"], Decimal)
    assert messages.field_report(area="01392", service_code="rac-thai")["service_code"] == "rac-thai"
    assert messages.field_report(address="25 phố Kim Đồng")["address_string"] == "25 phố Kim Đồng"


def test_identifiers_are_never_shared() -> None:
    names = {etree.fromstring(messages.cap_alert()).findtext(f"{{{CAP}}}identifier") for _ in range(50)}
    assert len(names) == 50 and len({messages.fire_alarm()["maCanhBao"] for _ in range(50)}) == 50


def test_vietnamese_goes_out_as_it_is() -> None:
    every = "".join(messages.field_report(chance=random.Random(seed))["description"] for seed in range(30))
    assert set("ổừữợồ") & set(every.lower())
    assert "Ổ gà".encode() in dump_json({"x": "Ổ gà"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("612.450"), "612.450"), (Decimal("1E+3"), "1000"), (10**30, "1" + "0" * 30), (Decimal("0.10"), "0.10"),
        ({"a": [1, "ợ", None, True, {"b": Decimal("-0.5")}]}, '{"a":[1,"ợ",null,true,{"b":-0.5}]}'),
    ],
)  # fmt: skip
def test_json_is_exact(value: Any, text: str) -> None:
    assert dump_json(value).decode() == text
    assert json.loads(text, parse_float=Decimal) == value


def test_json_has_no_infinity() -> None:
    for wrong in (Decimal("NaN"), float("inf")):
        with pytest.raises(ValueError):
            dump_json({"x": wrong})


def test_spoiled_messages_are_spoiled_in_one_way(identities: Any) -> None:
    identity = identities("canh-bao")
    headers = [("Action", "action", "urn:a"), ("MessageID", "message-id", "urn:uuid:1")]
    raw = serialise(sign(new_envelope(parse(messages.cap_alert())), identity.signer, headers=headers, now=1795507200.0))

    def forge(element: etree._Element) -> None:
        for severity in element.iter(f"{{{CAP}}}severity"):
            severity.text = "Minor"

    _, wrapped = misuse.wrap_body(forge)({}, raw)
    root = etree.fromstring(wrapped)
    assert root.findtext(f"{{{SOAP}}}Body//{{{CAP}}}severity") == "Minor"
    assert len(root.findall(f".//{{{SOAP}}}Body")) == 2
    with pytest.raises(BadEnvelope):
        verify(root, lambda _: None, 1795507200.0)
    with pytest.raises(BadEnvelope, match="DOCTYPE"):
        parse(misuse.add_doctype({}, raw)[1])
    assert misuse.replace_text("Severe", "Minor")({}, b">Severe<")[1] == b">Minor<"
    assert misuse.drop_header("a")({"a": "1", "b": "2"}, b"") == ({"b": "2"}, b"")
    assert misuse.set_header("a", "2")({"a": "1"}, b"") == ({"a": "2"}, b"")
    spoiled = misuse.spoil_signature({"signature": "sig1=:AAAA:"}, b"")[0]["signature"]
    assert spoiled == "sig1=:AQAA:"
    with pytest.raises(ValueError):
        misuse.replace_text("missing", "x")({}, b"")

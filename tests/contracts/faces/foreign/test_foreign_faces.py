"""A foreign format's own WSDL, XSD and OpenAPI: what the codec writes is valid by them, and clients made from them are
understood."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import zeep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign import xsd
from contracts.faces.openapi import openapi
from contracts.faces.wsdl import wsdl
from contracts.folder.bundle import catalogue_folders
from contracts.wire.jsontext import read_json
from contracts.wire.soap import V11, V12, parse_xml

FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
TABLES = [
    (f"{folder.parent.name}/{folder.name}", table)
    for folder in catalogue_folders()
    for table in sorted(folder.glob("systems/*.yaml"))
]
XML = [(name, table.stem) for name, table in TABLES if "\nformat: xml" in table.read_text("utf-8")]
JSON = [(name, table.stem) for name, table in TABLES if "\nformat: json" in table.read_text("utf-8")]


def xml_schema(compiled: CompiledContract, format_name: str, folder: Path) -> etree.XMLSchema:
    for name, raw in xsd.xsd_files(compiled, format_name).items():
        (folder / name).write_bytes(raw)
    return etree.XMLSchema(etree.parse(folder / "schema.xsd"))


def json_validator(document: dict[str, Any], message: str) -> jsonschema_rs.Draft4Validator:
    schemas = document["components"]["schemas"]
    return jsonschema_rs.Draft4Validator(
        {"$ref": f"#/components/schemas/{message}", "components": {"schemas": schemas}}
    )


def written(compiled: CompiledContract, format_name: str, message: str, value: Any) -> bytes | None:
    """The value in the format; None where the format cannot carry it."""
    codec = compiled.codec(format_name)
    try:
        return codec.write_xml(message, value) if codec.media == "xml" else codec.write_json(message, value)
    except Failure as failure:
        assert failure.code == "message.not-expressible"
        return None


@pytest.mark.parametrize(("name", "format_name"), XML)
@FEW
@given(data=st.data())
def test_what_is_written_is_valid_by_the_xsd_of_the_format(
    name: str,
    format_name: str,
    catalogue: Any,
    values_of: Any,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    compiled = catalogue[name]
    schema = xml_schema(compiled, format_name, tmp_path_factory.mktemp("xsd"))
    message = data.draw(st.sampled_from(sorted(compiled.codec(format_name).mapped)))
    raw = written(compiled, format_name, message, data.draw(values_of(compiled, message)))
    if raw is not None:
        schema.assertValid(etree.fromstring(raw))


@pytest.mark.parametrize(("name", "format_name"), JSON)
@FEW
@given(data=st.data())
def test_what_is_written_is_valid_by_the_openapi_of_the_format(
    name: str, format_name: str, catalogue: Any, values_of: Any, data: st.DataObject
) -> None:
    compiled = catalogue[name]
    message = data.draw(st.sampled_from(sorted(compiled.codec(format_name).mapped)))
    raw = written(compiled, format_name, message, data.draw(values_of(compiled, message)))
    if raw is not None:
        json_validator(openapi(compiled, "https://x", format_name), message).validate(read_json(raw))


@pytest.mark.parametrize(("name", "format_name"), XML + JSON)
def test_samples_are_valid_by_the_faces_of_their_format(
    name: str, format_name: str, catalogue: Any, tmp_path: Path
) -> None:
    compiled = catalogue[name]
    seen = 0
    for sample in compiled.samples:
        if sample.format != format_name:
            continue
        seen += 1
        if (name, format_name) in XML:
            xml_schema(compiled, format_name, tmp_path).assertValid(etree.fromstring(sample.raw))
        else:
            json_validator(openapi(compiled, "https://x", format_name), sample.message).validate(read_json(sample.raw))
    assert seen


def test_the_faces_refuse_what_the_table_refuses(catalogue: Any, tmp_path: Path) -> None:
    compiled = catalogue["field-report/v1"]
    schema = xml_schema(compiled, "do-thi-xml", tmp_path)
    sample = next(each for each in compiled.samples if each.format == "do-thi-xml" and each.message == "ServiceRequest")
    good = sample.raw.decode()
    schema.assertValid(etree.fromstring(good.encode()))
    for wrong in (
        good.replace('phienBan="1.2"', 'phienBan="1.3"'),
        good.replace('phienBan="1.2"', ""),
        good.replace("khoa=", "chia="),
        good.replace("<dt:MaXa>", "<dt:MaXa>x"),
        good.replace("<dt:NoiDung>", "<dt:La/><dt:NoiDung>"),
    ):
        assert wrong != good and not schema.validate(etree.fromstring(wrong.encode()))
        with pytest.raises(Failure):
            compiled.codec("do-thi-xml").read_xml("ServiceRequest", parse_xml(wrong.encode()))
    document = openapi(catalogue["indicator/v1"], "https://x", "kinh-te-json")
    validator = json_validator(document, "IndicatorValue")
    value = read_json(
        next(
            each
            for each in catalogue["indicator/v1"].samples
            if each.name == "thu-ngan-sach" and each.message == "IndicatorValue"
        ).raw
    )
    assert validator.is_valid(value) and validator.is_valid({**value, "giaTri": "KXD"})
    for change in (
        {"giaTri": "1.5"},
        {"giaTri": 1},
        {"capNhat": "2026-11-24"},
        {"tinhTrang": "1"},
        {"tinhTrang": 99},
        {"la": 1},
        {"canBo": {"dienThoai": "1234"}},
    ):
        assert not validator.is_valid({**value, **change})
        with pytest.raises(Failure):
            catalogue["indicator/v1"].codec("kinh-te-json").read_json(
                "IndicatorValue", json.dumps({**value, **change}).encode()
            )


@pytest.mark.parametrize("version", [V11, V12])
def test_a_zeep_client_made_from_the_wsdl_of_a_format_is_understood(
    version: Any, catalogue: Any, tmp_path: Path
) -> None:
    compiled = catalogue["field-report/v1"]
    (tmp_path / "x.wsdl").write_bytes(wsdl(compiled, "https://cong.example/soap/field-report/v1", "do-thi-xml"))
    client = zeep.Client(str(tmp_path / "x.wsdl"))
    service = client.bind("FieldReportService", "FieldReportPort" + ("12" if version is V12 else ""))
    keyed = [{"_value_1": "TB-7", "khoa": "ma-thiet-bi"}, {"_value_1": "04-1", "khoa": "ma-dia-chi"}]
    envelope = client.create_message(
        service,
        "createRequest",
        phienBan="1.2",
        LinhVuc=compiled.tables["linh-vuc"].codes[0],
        NoiDung="Ổ gà sâu trước cổng trường",
        ViTri={"MaXa": compiled.tables["area"].codes[-1], "ViDo": Decimal("22.6657"), "KinhDo": Decimal("106.2570")},
        NguoiPhanAnh={"DienThoai": "KHONG_RO"},
        ThongTinThem={"Muc": keyed},
        ThuocTinh=[{"_value_1": "rộng 1 m", "ma": "kich-thuoc"}],
    )
    body = envelope.find(version.body)
    found = compiled.codec("do-thi-xml").read_xml("ServiceRequest", parse_xml(etree.tostring(body[0])))
    assert found["phone"] == {"absent": "unknown"} and found["device_id"] == "TB-7" and found["address_id"] == "04-1"
    assert found["lat"] == Decimal("22.6657") and found["attribute"] == [{"code": "kich-thuoc", "value": "rộng 1 m"}]
    # And the answer in the format's own form is read by the same client.
    received = next(
        each for each in compiled.samples if each.format == "do-thi-xml" and each.message == "ServiceRequestReceived"
    )
    operation = service._binding.get("createRequest")
    answer = etree.fromstring(b'<s:Envelope xmlns:s="' + version.namespace.encode() + b'"><s:Body/></s:Envelope>')
    answer[0].append(etree.fromstring(received.raw))
    told = operation.process_reply(answer)
    assert told.MaHoSo and told.TrangThai in compiled.tables["trang-thai"].codes

"""What each format of the catalogue refuses, and where it says the fault is: wrong codes, ended codes, wrong times,
missing zones, broken traits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract
from contracts.wire.soap import parse_xml

RECEIVED = datetime.fromisoformat("2026-11-24T08:00:00+07:00").timestamp()
EDXML = "ed:edXML/ed:edXMLEnvelope/ed:edXMLHeader/"
BUSINESS = f"{EDXML}ed:TraceHeaderList/ed:Bussiness"
SERIES = "mes:StructureSpecificData/mes:DataSet/ct:Series"

# contract, sample, what is put in place of what, then: path here, canonical path, rule, part of what is said to be
# right
CASES = [
    # incident-alert
    ("incident-alert", "cap12/Alert.lu-quet-tra-linh", "<cap:status>Actual", "<cap:status>Real", "cap:alert/cap:status", "status", "code", "Actual"),
    ("incident-alert", "cap12/Alert.lu-quet-tra-linh", "T03:20:00+07:00</cap:sent>", "T03:20:00</cap:sent>", "cap:alert/cap:sent", "sent", "format", ""),
    ("incident-alert", "cap12/Alert.lu-quet-tra-linh", "T03:20:00+07:00</cap:sent>", "T03:20:00Z</cap:sent>", "cap:alert/cap:sent", "sent", "pattern", ""),
    ("incident-alert", "cap11/Alert.dong-dat-trung-khanh", "<scope>Public</scope>", "", "cap:alert/cap:scope", "scope", "required", "Public"),
    ("incident-alert", "cap11/Alert.dong-dat-trung-khanh", "<category>Geo", "<category>Đất", "cap:alert/cap:info[1]/cap:category[1]", "info[0].category[0]", "code", "Geo"),
    ("incident-alert", "bao-chay-json/Alert.du-moi-dau", '"tinhChat": 1', '"tinhChat": 7', "tinhChat", "status", "code", "tinh-chat"),
    # field-report
    ("field-report", "do-thi-xml/ServiceRequest.o-ga-kim-dong", "<dt:LinhVuc>101", "<dt:LinhVuc>999", "dt:PhieuPhanAnh/dt:LinhVuc", "service_code", "code", "linh-vuc"),
    ("field-report", "do-thi-xml/ServiceRequest.o-ga-kim-dong", "01273", "01267", "dt:PhieuPhanAnh/dt:ViTri/dt:MaXa", "area", "code", "01273, its successor"),
    ("field-report", "do-thi-xml/ServiceRequest.o-ga-kim-dong", "22.66590", "92.66590", "dt:PhieuPhanAnh/dt:ViTri/dt:ViDo", "lat", "range", "90"),
    ("field-report", "hien-truong-json/ServiceRequest.rac-thai-cho-xanh", '"22,67120"', "22.67120", "diaBan.viDo", "lat", "type", "comma"),
    ("field-report", "hien-truong-json/ServiceRequest.rac-thai-cho-xanh", '"linhVuc": 201', '"linhVuc": "201"', "linhVuc", "service_code", "type", "without quotes"),
    ("field-report", "hien-truong-json/ServiceRequestReceived.khong-tiep-nhan", "30/11/2026", "31/11/2026", "hanXuLy", "expected_datetime", "format", "calendar"),
    # indicator
    ("indicator", "kinh-te-json/IndicatorValue.thu-ngan-sach", '"04"', '"4"', "maDiaBan", "area", "code", "area"),
    ("indicator", "kinh-te-json/IndicatorValue.thu-ngan-sach", "612,450", "612.450", "giaTri", "value", "type", "comma"),
    ("indicator", "sdmx-ml/IndicatorValue.ho-ngheo", "09:00:00+07:00", "09:00:00", "mes:StructureSpecificData/mes:Header/mes:Prepared", "updated", "format", "zone"),
    ("indicator", "sdmx-ml/IndicatorValue.ho-ngheo", "01456", "01282", f"{SERIES}/@REF_AREA", "area", "code", "01273, its successor"),
    ("indicator", "sdmx-ml/IndicatorValue.ho-ngheo", 'STATUS="E"', 'STATUS="X"', f"{SERIES}/ct:Obs/@OBS_STATUS", "status", "code", "obs-status"),
    # observation
    ("observation", "sensorthings/Observation.mat-tin-hieu", "03:10:00Z", "03:10:00", "phenomenonTime", "phenomenonTime", "format", "zone"),
    ("observation", "sensorthings/Observation.mat-tin-hieu", '"none"', '"không"', "result", "result", "type", "number"),
    ("observation", "sensorthings/Observation.mat-tin-hieu", '"@iot.id"', '"id"', "Datastream.id", "", "unknown", "@iot.id"),
    ("observation", "sensorthings/Datastream.luong-mua-tra-linh", '"symbol": "mm", ', "", "unitOfMeasurement.symbol", "unitOfMeasurement.symbol", "required", ""),
    ("observation", "sensorthings/Datastream.luong-mua-tra-linh", "01447", "01270", "Thing.properties.area", "Thing.area", "code", "01279, its successor"),
    ("observation", "quan-trac-xml/Readings.mua-tra-linh", "24,20", "24.20", "qt:BangSoLieu/qt:SoDo[2]/@giaTri", "readings[1].result", "type", "comma"),
    ("observation", "quan-trac-xml/Readings.mua-tra-linh", "14/08/2026 03:00:00", "2026-08-14T03:00:00Z", "qt:BangSoLieu/qt:SoDo[2]/@thoiDiem", "readings[1].phenomenonTime", "format", "dd/MM/yyyy"),
    ("observation", "quan-trac-xml/Datastream.nhiet-do-nguyen-binh", 'kieu="DO"', 'kieu="ĐO"', "qt:ChuoiSoLieu/@kieu", "observationType", "code", "kieu-so"),
    # handling-report
    ("handling-report", "open311-json/StepReport.du-moi-dau", '"closed"', '"fixed"', "status", "step", "code", "trang-thai"),
    ("handling-report", "xu-ly-xml/StepReport.chuyen", "<xl:TrangThai>04", "<xl:TrangThai>99", "xl:BaoCaoXuLy/xl:TrangThai", "step", "code", "buoc-xu-ly"),
    ("handling-report", "xu-ly-xml/StepReport.chuyen", "2026/03/02 15", "2026/13/02 15", "xl:BaoCaoXuLy/xl:ThoiDiem", "time", "format", "yyyy/MM/dd HH:mm:ss"),
    # camera-event
    ("camera-event", "vms-json/CameraEvent.khoi-rung-phia-oac", "000.01.02.H14", "H14.2.1", "camera.donVi", "operator", "code", "agency.qcvn102"),
    ("camera-event", "vms-json/CameraEvent.khoi-rung-phia-oac", "20261118143207", "20261118143261", "thoiGian", "time", "format", "yyyyMMddHHmmss"),
    ("camera-event", "vms-json/CameraEvent.khoi-rung-phia-oac", ": 93", ": 930", "doTinCayPhanTram", "confidence", "range", "1"),
    ("camera-event", "vms-json/CameraEvent.khoi-rung-phia-oac", "https://camera", "data:image/jpeg;base64,", "tep[0].diaChi", "media[0].uri", "pattern", "https"),
    ("camera-event", "onvif-xml/CameraEvent.un-tac-ta-lung", 'operator="H14.6"', 'operator="H14.12"', "tt:Message/tt:Extension/cb:Camera/@operator", "operator", "code", "H14.3, its successor"),
    ("camera-event", "onvif-xml/CameraEvent.un-tac-ta-lung", "02:15:30Z", "02:15:30", "tt:Message/@UtcTime", "time", "format", "zone"),
    ("camera-event", "onvif-xml/CameraEvent.un-tac-ta-lung", "Congestion", "Đông", "tt:Message/tt:Source/tt:SimpleItem[2]/@Value", "kind", "code", "onvif-topic"),
    # dossier-status
    ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"error_code": 0', '"error_code": "0"', "error_code", "outcome", "type", "without quotes"),
    ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"error_code": 0', '"error_code": 5', "error_code", "outcome", "code", "ma-loi"),
    ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", "20261119103005\",\n    \"NgayTiepNhan", "2026-11-19 10:30\",\n    \"NgayTiepNhan", "data.ThoiDiemXuLy", "dossier.statusTime", "format", "yyyyMMddHHmmss"),
    ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"000.00.22.H14"', '"000.00.41.H14"', "data.DonViXuLy", "dossier.agency", "code", "000.00.32.H14, its successor"),
    ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"TrucTuyen": 1', '"TrucTuyen": true', "data.TrucTuyen", "dossier.online", "type", "0 or 1"),
    ("dossier-status", "mot-cua-xml/DossierStatus.dat-dai", "<mc:TrangThai>5", "<mc:TrangThai>05", "mc:DongBoHoSo/mc:HoSo/mc:TrangThai", "dossier.status", "code", "trang-thai-ho-so"),
    ("dossier-status", "mot-cua-xml/DossierStatus.dat-dai", "<mc:GioNhan>07:45:00</mc:GioNhan>", "", "mc:DongBoHoSo/mc:HoSo/mc:GioNhan", "dossier.received", "required", ""),
    ("dossier-status", "mot-cua-xml/DossierStatus.dat-dai", "<mc:DonVi>H14.21", "<mc:DonVi>H14.40", "mc:DongBoHoSo/mc:HoSo/mc:DonVi", "dossier.agency", "code", "H14.21, its successor"),
    # official-document
    ("official-document", "edxml/Document.tap-huan", "<edXML:OrganId>000.00.22.H14", "<edXML:OrganId>000.00.41.H14", f"{EDXML}ed:MessageHeader/ed:To[1]/ed:OrganId", "to[0].organId", "code", "000.00.32.H14, its successor"),
    ("official-document", "edxml/Document.tap-huan", "<edXML:OrganId>000.00.22.H14", "<edXML:OrganId>H14.22", f"{EDXML}ed:MessageHeader/ed:To[1]/ed:OrganId", "to[0].organId", "code", "agency.qcvn102"),
    ("official-document", "edxml/Document.tap-huan", "2026/11/20 09:05:00", "2026-11-20T09:05:00Z", f"{EDXML}ed:TraceHeaderList/ed:TraceHeader/ed:Timestamp", "trace[0].timestamp", "format", "yyyy/MM/dd"),
    ("official-document", "edxml/Document.tap-huan", "<edXML:BussinessDocType>0", "<edXML:BussinessDocType>4", f"{EDXML}ed:TraceHeaderList/ed:Bussiness/ed:BussinessDocType", "business.docType", "code", "nghiep-vu"),
    ("official-document", "edxml/Document.cap-nhat", "<DocumentReceiver>1</DocumentReceiver>", "", f"{BUSINESS}/ed:BussinessDocumentInfo/ed:DocumentReceiver", "business.documentReceiver", "required", ""),
    ("official-document", "edxml/Document.thay-the", "<BussinessDocType>3", "<BussinessDocType>0", f"{BUSINESS}/ed:ReplacementInfoList/ed:ReplacementInfo", "business.replaced", "unknown", ""),
    ("official-document", "edxml/Document.tap-huan", "<edXML:ContentTransferEncoded>", "<edXML:ContentTransferEncoded>@", "ed:edXML/ed:AttachmentEncoded/ed:Attachment[1]/ed:ContentTransferEncoded", "attachments[0].data", "pattern", ""),
    ("official-document", "qlvb-json/Document.giay-moi", '"noiDung": "', '"noiDung": "*', "tep[0].noiDung", "attachments[0].data", "pattern", ""),
    ("official-document", "edxml-vxp/Document.tu-trung-uong", "28.22.H97", "000.00.99.H14", f"{EDXML}ed:MessageHeader/ed:To[2]/ed:OrganId", "to[1].organId", "code", "agency.qcvn102"),
    ("official-document", "edxml-vxp/StatusReport.da-den", "28.22.H97", "H14.99", "ed:edXML/ed:edXMLEnvelope/ed:edXMLHeader/ed:Status/ed:From/ed:OrganId", "from.organId", "code", "agency.qcvn102"),
    ("official-document", "edxml/DocumentStatus.da-den", "<edXML:StatusCode>01", "<edXML:StatusCode>1", "ed:Status/ed:StatusCode", "status", "code", "trang-thai"),
    ("official-document", "qlvb-json/Document.giay-moi", '"noiNhan": [', '"noiNhan": [], "khac": [', "noiNhan", "to", "required", "list"),
    ("official-document", "qlvb-json/Document.giay-moi", '"ma": "H14.5"', '"ma": "H14.14"', "noiNhan[0].ma", "to[0].organId", "code", "H14.5, its successor"),
    ("official-document", "qlvb-json/Document.giay-moi", '"ngayBanHanh": "23/11/2026"', '"ngayBanHanh": "11/23/2026"', "ngayBanHanh", "promulgation.date", "format", "calendar"),
    # reference-query
    ("reference-query", "csdl-xml/CitizenQuery.ho-tich", "004000000042", "4000000042", "dl:TraCuuCongDan/dl:SoDinhDanh", "personalId", "pattern", "12"),
    ("reference-query", "csdl-xml/CitizenQuery.ho-tich", "19790228", "19790229", "dl:TraCuuCongDan/dl:NgaySinh", "birthDate", "format", "calendar"),
    ("reference-query", "csdl-xml/CitizenQuery.ho-tich", "Đăng ký khai tử, xã Trường Hà", "khai tử", "dl:TraCuuCongDan/dl:MucDich", "purpose", "length", "10"),
    ("reference-query", "csdl-xml/CitizenAnswer.ho-tich", "<MaXa>01392", "<MaXa>01285", "dl:TraCuuCongDanKetQua/dl:CongDan/dl:ThuongTru/dl:MaXa", "citizen.permanentAddress.area", "code", "01288, its successor"),
    ("reference-query", "csdl-xml/CitizenAnswer.ho-tich", "<MaKetQua>00", "<MaKetQua>0", "dl:TraCuuCongDanKetQua/dl:MaKetQua", "outcome", "code", "ket-qua"),
    ("reference-query", "tra-cuu-json/EnterpriseAnswer.cong-ty-da", " | 01279", " | 01270", "doanhNghiep.truSo", "enterprise.headOffice.area", "code", "01279, its successor"),
    ("reference-query", "tra-cuu-json/EnterpriseAnswer.cong-ty-da", '"12000000000"', "12000000000", "doanhNghiep.vonDieuLe", "enterprise.capital", "type", "quotes"),
]  # fmt: skip


def sample(catalogue: dict[str, CompiledContract], contract: str, name: str) -> Any:
    return next(
        each for each in catalogue[f"{contract}/v1"].samples if f"{each.format}/{each.message}.{each.name}" == name
    )


def read(catalogue: dict[str, CompiledContract], contract: str, one: Any, raw: bytes) -> Any:
    codec = catalogue[f"{contract}/v1"].codec(one.format)
    if codec.media == "json":
        return codec.read_json(one.message, raw, RECEIVED)
    return codec.read_xml(one.message, parse_xml(raw, published=True), RECEIVED)


@pytest.mark.parametrize(("contract", "name", "old", "new", "here", "canonical", "rule", "expected"), CASES)
def test_a_fault_is_named_where_it_is(
    contract: str,
    name: str,
    old: str,
    new: str,
    here: str,
    canonical: str,
    rule: str,
    expected: str,
    catalogue: dict[str, CompiledContract],
) -> None:
    one = sample(catalogue, contract, name)
    raw = one.raw.decode()
    assert old in raw
    with pytest.raises(Theirs) as caught:
        read(catalogue, contract, one, raw.replace(old, new, 1).encode())
    assert caught.value.code == "message.invalid"
    found = caught.value.findings
    assert (here, canonical, rule) in [(each.here, each.canonical, each.rule) for each in found], found
    assert any(expected in each.expected for each in found if each.here == here), found
    # The value itself is never told: it may be personal.
    assert not any(new in each.got for each in found if new)


def test_every_format_has_its_cases(catalogue: dict[str, CompiledContract]) -> None:
    tried = {(f"{case[0]}/v1", case[1].split("/")[0]) for case in CASES}
    formats = [(name, codec) for name, compiled in catalogue.items() for codec in compiled.formats.values()]
    assert tried == {
        (name, codec.name) for name, codec in formats if codec.name != "canonical" and codec.media in ("json", "xml")
    }


@pytest.mark.parametrize(
    "contract",
    [
        "camera-event",
        "dossier-status",
        "field-report",
        "handling-report",
        "indicator",
        "observation",
        "official-document",
        "reference-query",
    ],
)
def test_all_samples_are_in_force_on_the_day_they_come(contract: str, catalogue: dict[str, CompiledContract]) -> None:
    for one in catalogue[f"{contract}/v1"].samples:
        if one.format != "canonical" and catalogue[f"{contract}/v1"].codec(one.format).media in ("json", "xml"):
            read(catalogue, contract, one, one.raw)


@pytest.mark.parametrize(
    ("contract", "name", "old", "new"),
    [
        ("official-document", "edxml/Document.thu-hoi", "</Subject>", "</Subject><DueDate/><OtherInfo><Priority/><PageAmount></PageAmount></OtherInfo><SteeringType/>"),
        ("official-document", "edxml/Document.thay-the", "<BussinessDocReason>", "<DocumentId/><BussinessDocReason>"),
        ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"NgayTra": "20261119103005"', '"NgayTra": null'),
        ("dossier-status", "mot-cua-json/DossierAnswer.khai-sinh", '"NgayTra": "20261119103005"', '"NgayTra": ""'),
    ],
)  # fmt: skip
def test_what_systems_leave_empty_is_missing(
    contract: str, name: str, old: str, new: str, catalogue: dict[str, CompiledContract]
) -> None:
    one = sample(catalogue, contract, name)
    value = read(catalogue, contract, one, one.raw)
    if contract == "dossier-status":
        del value["dossier"]["returned"]
    assert old in one.raw.decode()
    assert read(catalogue, contract, one, one.raw.decode().replace(old, new, 1).encode()) == value

"""What the bad provider answers by content: a field report (canonical JSON, or XML of `do-thi-xml`) and water readings.

`carry_out` gives the good answer as canonical members; `spoil` gives it the seeded fault, if that is one of content.
Source: the pages of `field-report/v1` and of the contract in `contract/`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lxml import etree

DT = "urn:caobang:so-xay-dung:do-thi:1"
XML_STATUS = {"open": "01", "in_progress": "05", "closed": "06", "rejected": "02"}
STATIONS = {11: "bang-giang", 12: "bao-lac", 13: "trung-khanh"}
REMARK = "Nước đục, chảy xiết; cầu Sông Hiến còn cách mép nước hơn một mét."
OUT_OF_ORDER = "Cảm biến hỏng, chờ thay."
KINDS = {"duong-sa", "chieu-sang", "thoat-nuoc", "rac-thai", "cay-xanh", "xay-dung", "an-ninh"}
XML_KINDS = {"101", "102", "103", "201", "202", "301", "901"}
MEMBERS = {
    "service_code", "area", "lat", "long", "address_string", "address_id", "email", "device_id", "account_id",
    "first_name", "last_name", "phone", "description", "media_url", "attribute",
}  # fmt: skip
ORDER = {
    "service_request_id": "MaHoSo", "status": "TrangThai", "service_notice": "ThongBao",
    "expected_datetime": "HenTraLoi", "agency_responsible": "CoQuanXuLy",
}  # fmt: skip


def broken_rule(request: Mapping[str, Any]) -> str | None:
    """The first rule of a canonical ServiceRequest that is broken, in words."""
    for name in ("service_code", "area", "description"):
        if name not in request:
            return f"{name}: missing"
        if not isinstance(request[name], str):
            return f"{name}: not a text"
    for name in request:
        if name not in MEMBERS:
            return f"{name}: not a field"
    if request["service_code"] not in KINDS:
        return "service_code: not a code"
    return None


def absent(request: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) and set(value) == {"absent"} for value in request.values())


def report_answer(number: int, description: str) -> dict[str, Any]:
    """ServiceRequestReceived. It quotes the description, so that a change of its letters can be seen."""
    return {
        "service_request_id": f"KT-2026-{number:05}",
        "status": "open",
        "service_notice": f"Đã tiếp nhận: {description}"[:2000],
        "expected_datetime": "2026-11-30T17:00:00+07:00",
        "agency_responsible": "Ủy ban nhân dân xã Trường Hà",
    }


def spoil(answer: dict[str, Any], fault: str | None) -> dict[str, Any]:
    """A fault of content in ServiceRequestReceived. Another fault, or none, leaves it as it is."""
    changed = dict(answer)
    notice = changed["service_notice"]
    if fault == "unknown-field":
        changed["priority"] = "cao"
    elif fault == "wrong-code":
        changed["status"] = "done"
    elif fault == "wrong-type":
        changed["service_notice"] = 12
    elif fault == "required-missing":
        del changed["status"]
    elif fault == "date-form":
        changed["expected_datetime"] = "30/11/2026 17:00"
    elif fault == "diacritics-dropped":
        letters = unicodedata.normalize("NFD", notice.replace("Đ", "D").replace("đ", "d"))
        changed["service_notice"] = letters.encode("ascii", "ignore").decode()
    elif fault == "nfd":
        changed["service_notice"] = unicodedata.normalize("NFD", notice)
    elif fault == "text-cut":
        changed["service_notice"] = notice[:100]
    elif fault == "too-large":
        changed["service_notice"] = "Đ" * 6_000_000
    return changed


def broken_xml(body: etree._Element) -> str | None:
    """The first rule that a PhieuPhanAnh breaks: its root, its required fields, its kind."""
    if body.tag != f"{{{DT}}}PhieuPhanAnh":
        return "not a PhieuPhanAnh"
    for path in ("LinhVuc", "NoiDung", "ViTri/MaXa"):
        if not body.findtext("/".join(f"{{{DT}}}{name}" for name in path.split("/"))):
            return f"{path}: missing"
    return None if body.findtext(f"{{{DT}}}LinhVuc") in XML_KINDS else "LinhVuc: not a code"


def to_xml(answer: Mapping[str, Any], fault: str | None) -> etree._Element:
    """KetQuaTiepNhan of `do-thi-xml`: numeric codes, and times without a zone."""
    space = "urn:caobang:so-xay-dung:do-thi:2" if fault == "soap-namespace" else DT
    root = etree.Element(f"{{{space}}}KetQuaTiepNhan", nsmap={"dt": space})
    for name, here in ORDER.items():
        if name in answer:
            value = str(answer[name])
            if name == "status":
                value = XML_STATUS.get(value, "77")
            elif name == "expected_datetime" and fault != "date-form":
                value = datetime.fromisoformat(value).strftime("%Y/%m/%d %H:%M:%S")
            etree.SubElement(root, f"{{{space}}}{here}").text = value
    if "priority" in answer:
        etree.SubElement(root, f"{{{space}}}UuTien").text = "cao"
    return root


def reading(query: Mapping[str, Any], fault: str | None) -> dict[str, Any] | None:
    """Reading in `tram-json` for a ReadingQuery in it; None where the query breaks its rules.

    It answers as the samples say. Station 12 has no level: it is absent for the reason `unknown` (KXD).
    """
    station, at = query.get("tram"), query.get("luc")
    if set(query) != {"tram", "luc"} or not isinstance(station, int | str) or not isinstance(at, str):
        return None
    if station not in STATIONS:
        return None
    answer: dict[str, Any] = {
        "tram": station,
        "luc": at,
        "mucNuoc": "KXD" if station == 12 else "179,25",
        "xuThe": "D" if station == 12 else "L",
        "thuoc": 1 if station == 12 else 3,
        "ghiChu": OUT_OF_ORDER if station == 12 else REMARK,
    }
    if fault == "water-level-point":
        answer["mucNuoc"] = answer["mucNuoc"].replace(",", ".")
    elif fault == "water-number-as-text":
        answer["thuoc"] = str(answer["thuoc"])
    elif fault == "water-absent-as-zero" and station == 12:
        answer["mucNuoc"] = "0,00"
    elif fault == "water-trend-code":
        answer["xuThe"] = "T"
    elif fault == "water-time-iso":
        answer["luc"] = datetime.strptime(at, "%d/%m/%Y %H:%M:%S").isoformat() + "+07:00"
    elif fault == "water-out-of-range" and station != 12:
        answer["mucNuoc"] = "1792,5"
    return answer

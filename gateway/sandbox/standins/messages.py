"""Realistic messages of the province's systems, with Vietnamese text, for samples, traffic and tests.

CAP 1.2 (OASIS, 2010) with all optional parts, the fire alarm system's own JSON, Open311 GeoReport v2 reports,
canonical SOAP questions. Names, telephone numbers and events are invented. Invariant: every message is complete and
valid in its format. Two calls share an identifier only if the caller gives it.
"""

from __future__ import annotations

import argparse
import random
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, cast

from lxml import etree

from gateway.sample_client.jsontext import dump_json

CAP: Final = "urn:oasis:names:tc:emergency:cap:1.2"
INDICATOR: Final = "urn:lgsp:contract:indicator:v1"
HERE: Final = timezone(timedelta(hours=7))

TRUONG_HA: Final = "01392"
# commune code, name, latitude, longitude
COMMUNES: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("01273", "phường Thục Phán", "22.6659", "106.2579"), ("01279", "phường Nùng Trí Cao", "22.6790", "106.2460"),
    ("01288", "phường Tân Giang", "22.6531", "106.2702"), ("01304", "xã Bảo Lạc", "22.9497", "105.6790"),
    ("01392", "xã Trường Hà", "22.9583", "106.0431"), ("01414", "xã Hà Quảng", "22.9021", "106.0874"),
    ("01447", "xã Trà Lĩnh", "22.8298", "106.3187"), ("01456", "xã Quang Hán", "22.7800", "106.2600"),
    ("01477", "xã Trùng Khánh", "22.8337", "106.5252"), ("01561", "xã Quảng Uyên", "22.6926", "106.4437"),
    ("01654", "xã Hòa An", "22.7211", "106.1983"), ("01726", "xã Nguyên Bình", "22.6483", "105.9631"),
    ("01786", "xã Đông Khê", "22.4289", "106.4248"),
)  # fmt: skip
# event (vi, en), category, headline, description, instruction (vi); for the disaster warning system
HAZARDS: Final = (
    ("Lũ quét, sạt lở đất", "Flash flood, landslide", ("Met", "Geo"), "Cảnh báo lũ quét, sạt lở đất tại {place}",
     "Lượng mưa 6 giờ qua đạt {amount} mm. Nguy cơ lũ quét trên các suối nhỏ & sạt lở ta luy dương dọc Quốc lộ 34.",
     "Sơ tán các hộ ven suối; không qua ngầm, tràn khi nước chảy xiết."),
    ("Rét đậm, rét hại", "Severe cold spell", ("Met",), "Rét hại diện rộng, {place} có nơi dưới 4 °C",
     "Nhiệt độ thấp nhất đêm qua {amount} phần mười độ C; vùng núi cao có băng giá và sương muối.",
     "Giữ ấm cho người già, trẻ nhỏ; đưa trâu bò về chuồng, che chắn và dự trữ cỏ khô."),
    ("Nguy cơ cháy rừng cấp V", "Forest fire danger, level V", ("Fire", "Env"),
     "Cấp dự báo cháy rừng cực kỳ nguy hiểm tại {place}",
     "Độ ẩm không khí xuống dưới {amount} %, gió Tây Nam mạnh; thảm thực bì khô kiệt.",
     "Nghiêm cấm đốt nương làm rẫy; tuần tra, canh gác lửa rừng 24/24 giờ."),
    ("Dông, lốc, sét, mưa đá", "Thunderstorm and hail", ("Met",), "Dông mạnh kèm mưa đá đang di chuyển vào {place}",
     "Vùng mây đối lưu gây mưa {amount} mm/giờ, gió giật cấp 7, có khả năng kèm mưa đá.",
     "Ở trong nhà kiên cố, tránh trú dưới cây to; ngắt thiết bị điện."),
)  # fmt: skip
FIRES: Final = (
    (
        "Cháy khu vực chợ",
        "Cháy tại khu chợ trung tâm {place}",
        "Đám cháy phát sinh tại dãy ki-ốt hàng vải, khói lan sang khu dân cư phía đông.",
    ),
    (
        "Cháy nhà dân",
        "Cháy nhà sàn tại {place}",
        "Nhà sàn gỗ ba gian bén lửa từ bếp củi; lực lượng tại chỗ đang khoanh vùng.",
    ),
    (
        "Cháy xưởng gỗ",
        "Cháy xưởng chế biến gỗ bóc tại {place}",
        "Lửa cháy ở kho ván bóc, có nguy cơ lan sang bãi gỗ tròn.",
    ),
    (
        "Sự cố khí gas",
        "Rò rỉ khí gas tại nhà hàng ở {place}",
        "Bình gas 45 kg rò rỉ tại bếp; đã ngắt điện khu vực, chưa có người bị thương.",
    ),
)
REPORTS: Final = (
    ("duong-sa", "Ổ gà lớn giữa đường, xe máy đã ngã hai lần trong tuần.", "do-sau-cm", "15"),
    ("chieu-sang", "Dãy đèn đường từ cổng trường đến trạm y tế tắt đã ba đêm.", "so-cot-den", "7"),
    ("thoat-nuoc", "Cống nghẹt, mưa nhỏ là nước ngập tràn vào ngõ.", "muc-ngap-cm", "30"),
    ("rac-thai", "Bãi rác tự phát cạnh bờ sông Bằng bốc mùi, ruồi nhặng nhiều.", "dien-tich-m2", "20"),
    ("cay-xanh", "Cây xà cừ nghiêng sau trận dông, có thể đổ vào dây điện.", "duong-kinh-cm", "60"),
    ("xay-dung", "Công trình lấn vỉa hè, vật liệu đổ tràn xuống lòng đường.", "so-nha", "48"),
)
# combined at random; no real person
_FAMILY: Final = (
    "Nông Thị",
    "Hoàng Văn",
    "Triệu Thị",
    "Bế Văn",
    "Đàm Thị",
    "Lý A",
    "Sầm Văn",
    "Mã Thị",
    "Đinh Ngọc",
    "Vi Thị",
)
_GIVEN: Final = ("Hằng", "Dũng", "Ngoãn", "Tuyến", "Mẩy", "Chợ", "Quỳnh", "Khởi", "Thưởng", "Nhượng")


def _now(now: float | None) -> datetime:
    moment = datetime.now(HERE) if now is None else datetime.fromtimestamp(now, UTC).astimezone(HERE)
    return moment.replace(microsecond=0)


def _default(namespace: str) -> dict[str, str]:
    """A default namespace. lxml takes None as its prefix, which its types omit."""
    return cast("dict[str, str]", {None: namespace})


def _number(chance: random.Random) -> str:
    return uuid.UUID(int=chance.getrandbits(128), version=4).hex[:12].upper()


def _polygon(latitude: str, longitude: str) -> str:
    x, y = Decimal(latitude), Decimal(longitude)
    corners = [(x, y), (x + Decimal("0.03"), y + Decimal("0.04")), (x - Decimal("0.01"), y + Decimal("0.07")), (x, y)]
    return " ".join(f"{a:.4f},{b:.4f}" for a, b in corners)


def cap_alert(
    *,
    identifier: str | None = None,
    now: float | None = None,
    chance: random.Random | None = None,
    status: str = "Actual",
) -> bytes:
    """A CAP 1.2 alert of the disaster warning system, in Vietnamese and English, with every optional part."""
    chance = chance or random.Random()
    sent = _now(now)
    code, place, latitude, longitude = chance.choice(COMMUNES)
    event_vi, event_en, categories, headline, description, instruction = chance.choice(HAZARDS)
    amount = f"{chance.randint(35, 190)},{chance.randint(0, 9)}"
    root = etree.Element(f"{{{CAP}}}alert", nsmap={"cap": CAP})

    def put(parent: etree._Element, name: str, text: str) -> None:
        etree.SubElement(parent, f"{{{CAP}}}{name}").text = text

    def pair(parent: etree._Element, name: str, key: str, value: str) -> None:
        holder = etree.SubElement(parent, f"{{{CAP}}}{name}")
        put(holder, "valueName", key)
        put(holder, "value", value)

    name = identifier or f"H14.2-CB-{sent:%Y}-{_number(chance)}"
    for tag, text in (
        ("identifier", name), ("sender", "canhbao@nnmt.caobang.example"), ("sent", sent.isoformat()),
        ("status", status), ("msgType", "Alert"),
        ("source", "Đài Khí tượng thủy văn tỉnh Cao Bằng"), ("scope", "Restricted"),
        ("restriction", "Cơ quan, đơn vị trong tỉnh"),
        ("addresses", '"Trung tâm Giám sát" H14.0 H14.3'), ("code", "urn:caobang:canh-bao:thien-tai"),
        ("code", f"cap-do-{chance.randint(1, 3)}"),
        ("note", "Bản tin tự động, trực ban đã kiểm tra"),
        ("references", f"canhbao@nnmt.caobang.example,{name}-0,{(sent - timedelta(hours=6)).isoformat()}"),
        ("incidents", f"mua-lu-{sent:%Y-%m}"),
    ):  # fmt: skip
        put(root, tag, text)
    for language, event, words in (
        ("vi-VN", event_vi, (headline.format(place=place), description.format(amount=amount), instruction)),
        (
            "en-US",
            event_en,
            (
                f"{event_en}: commune {code}, Cao Bang",
                "See the Vietnamese text for the measured values.",
                "Follow local authorities.",
            ),
        ),
    ):
        info = etree.SubElement(root, f"{{{CAP}}}info")
        put(info, "language", language)
        for category in categories:
            put(info, "category", category)
        put(info, "event", event)
        for response in ("Prepare", "Monitor"):
            put(info, "responseType", response)
        for tag, text in (
            ("urgency", "Expected"),
            ("severity", "Severe"),
            ("certainty", "Likely"),
            ("audience", "Nhân dân trong vùng ảnh hưởng"),
        ):
            put(info, tag, text)
        pair(info, "eventCode", "QD18/2021", "thien-tai")
        for tag, moment in (
            ("effective", sent),
            ("onset", sent + timedelta(minutes=40)),
            ("expires", sent + timedelta(hours=12)),
        ):
            put(info, tag, moment.isoformat())
        put(info, "senderName", "Sở Nông nghiệp và Môi trường tỉnh Cao Bằng")
        for tag, text in zip(("headline", "description", "instruction"), words, strict=True):
            put(info, tag, text)
        put(info, "web", f"https://canhbao.caobang.example/tin?ma={name}&vung={code}")
        put(info, "contact", "Trực ban phòng, chống thiên tai: 0206 000 0002")
        pair(info, "parameter", "mua_6h_mm", amount)
        pair(info, "parameter", "cap_do_rui_ro", str(chance.randint(1, 3)))
        resource = etree.SubElement(info, f"{{{CAP}}}resource")
        for tag, text in (
            ("resourceDesc", "Bản đồ vùng nguy cơ"), ("mimeType", "image/png"), ("size", "284119"),
            ("uri", f"https://canhbao.caobang.example/ban-do/{code}.png"),
            ("digest", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ):  # fmt: skip
            put(resource, tag, text)
        area = etree.SubElement(info, f"{{{CAP}}}area")
        put(area, "areaDesc", f"{place[0].upper()}{place[1:]}, tỉnh Cao Bằng")
        put(area, "polygon", _polygon(latitude, longitude))
        put(area, "circle", f"{latitude},{longitude} 6.0")
        pair(area, "geocode", "ma-xa", code)
        put(area, "altitude", "2050.5")
        put(area, "ceiling", "4300.0")
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def fire_alarm(
    *, identifier: str | None = None, now: float | None = None, chance: random.Random | None = None
) -> dict[str, Any]:
    """An alert in the fire alarm system's own JSON: local times without a zone, numeric codes, a decimal comma."""
    chance = chance or random.Random()
    sent = _now(now)
    code, place, latitude, longitude = chance.choice(COMMUNES)
    event, headline, description = chance.choice(FIRES)
    return {
        "maCanhBao": identifier or f"BC-{sent:%Y}-{_number(chance)}",
        "donViGui": "pccc@congan.caobang.example",
        "thoiDiem": f"{sent:%Y%m%d%H%M%S}",
        "tinhChat": 1,
        "loaiTin": 1,
        "ghiChu": "Tin nhận qua đầu báo khói tự động",
        "chiTiet": [{
            "ngonNgu": "vi-VN",
            "nhom": [6, 3],
            "suKien": event,
            "hanhDong": [2, 5],
            "mucKhan": 1,
            "mucDo": chance.randint(2, 4),
            "doChacChan": 1,
            "batDau": f"{sent - timedelta(minutes=3):%Y%m%d%H%M%S}",
            "hetHan": f"{sent + timedelta(hours=6):%Y%m%d%H%M%S}",
            "donViPhatTin": "Phòng Cảnh sát PCCC và CNCH, Công an tỉnh Cao Bằng",
            "tieuDe": headline.format(place=place),
            "noiDung": description,
            "huongDan": "Người dân rời khỏi khu vực, nhường đường cho xe chữa cháy.",
            "lienHe": "114",
            "thongSo": [{"ten": "so_xe_chua_chay", "giaTri": str(chance.randint(1, 6))}],
            "khuVuc": [{
                "diaDiem": f"Khu dân cư trung tâm, {place}",
                "vung": [_polygon(latitude, longitude)],
                "vongTron": [f"{latitude},{longitude} 0.5"],
                "maHanhChinh": [{"loai": "ma-xa", "ma": code}],
                "doCao": f"{chance.randint(180, 1400)},{chance.randint(0, 9)}0",
            }],
        }],
    }  # fmt: skip


def field_report(
    *,
    area: str | None = None,
    service_code: str | None = None,
    address: str | None = None,
    chance: random.Random | None = None,
) -> dict[str, Any]:
    """A citizen's report with the names of Open311 GeoReport v2, routed by its commune (`area`).

    By default the commune is not Trường Hà: that one has a system of its own, which may be offline.
    """
    chance = chance or random.Random()
    code, place, latitude, longitude = chance.choice(
        [item for item in COMMUNES if item[0] == area or area is None and item[0] != TRUONG_HA]
    )
    kinds = [item for item in REPORTS if service_code is None or item[0] == service_code]
    kind, description, attribute, value = chance.choice(kinds)
    name = chance.choice(_GIVEN)
    return {
        "service_code": kind,
        "area": code,
        "lat": Decimal(latitude) + Decimal(chance.randint(-40, 40)).scaleb(-4),
        "long": Decimal(longitude) + Decimal(chance.randint(-40, 40)).scaleb(-4),
        "address_string": address or f"{chance.randint(1, 120)} đường Kim Đồng, {place}, tỉnh Cao Bằng",
        "email": {"absent": "none"},
        "device_id": f"android-{chance.getrandbits(24):06x}",
        "first_name": name,
        "last_name": chance.choice(_FAMILY),
        "phone": f"0912 000 {chance.randint(100, 999)}",
        "description": description,
        "media_url": f"https://phananh.caobang.example/anh/{chance.getrandbits(32):08x}.jpg",
        "attribute": [
            {"code": attribute, "value": value},
            {"code": "ghi-chu", "value": "Gửi từ ứng dụng, ảnh chụp tại chỗ"},
        ],
    }


def dossier_status(*, event: str | None = None, number: int = 7) -> dict[str, Any]:
    """A change of a dossier's status as the one-stop system reports it."""
    return {
        "MaCapNhat": event or str(uuid.uuid4()),
        "MaHoSo": f"000.00.22.H14-261118-{number:04d}",
        "MaTTHC": "1.001193",
        "TenTTHC": "Đăng ký khai sinh",
        "DonViXuLy": "000.00.22.H14",
        "ChuHoSo": "Đàm Thị Nhuần",
        "TrangThaiHoSo": 4,
        "ThoiDiemXuLy": "20261119091500",
        "NgayTiepNhan": "20261118081500",
        "NgayHenTra": "20261120170000",
        "NguoiXuLy": "*BM*",
        "NoiDungXuLy": "Đang xác minh thông tin tại bộ phận hộ tịch.",
        "LePhi": "0",
        "TrucTuyen": 1,
    }


def dossier_status_xml(*, event: str) -> bytes:
    """A change of a dossier's status as the communes' older one-stop system reports it, by SOAP."""
    space = "urn:caobang:mot-cua:1"
    root = etree.Element(f"{{{space}}}DongBoHoSo", nsmap={"mc": space}, lanCapNhat=event)
    dossier = etree.SubElement(root, f"{{{space}}}HoSo")
    for name, text in (
        ("SoBienNhan", "H14.22-261118-0012"), ("MaThuTuc", "1.012756"),
        ("TenThuTuc", "Đăng ký, cấp Giấy chứng nhận quyền sử dụng đất lần đầu"),
        ("DonVi", "H14.22"), ("NguoiNop", "Lục Thị Hoa"), ("TrangThai", "5"), ("ThoiDiem", "20/11/2026 08:59:40"),
        ("NgayNhan", "18/11/2026"),
        ("GioNhan", "07:45:00"), ("NgayHen", "15/12/2026"), ("GioHen", "17:00:00"), ("CanBo", "*BM*"),
        ("GhiChu", "Bổ sung trích lục bản đồ thửa đất số 118."), ("LePhi", "100000"), ("TrucTuyen", "0"),
    ):  # fmt: skip
        etree.SubElement(dossier, f"{{{space}}}{name}").text = text
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def indicator_question(indicator: str, area: str, period: str) -> str:
    """Path and query of the canonical REST question for a value."""
    return f"/indicator/v1/values?indicator={indicator}&area={area}&period={period}"


def indicator_body(indicator: str, area: str, period: str) -> bytes:
    """The canonical SOAP question for a value."""
    root = etree.Element(f"{{{INDICATOR}}}getValue", nsmap=_default(INDICATOR))
    for name, text in (("indicator", indicator), ("area", area), ("period", period)):
        etree.SubElement(root, f"{{{INDICATOR}}}{name}").text = text
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def main(arguments: list[str] | None = None) -> int:
    kinds: dict[str, Callable[[], bytes]] = {
        "cap-alert": cap_alert,
        "fire-alarm": lambda: dump_json(fire_alarm()),
        "field-report": lambda: dump_json(field_report()),
        "dossier-status": lambda: dump_json(dossier_status()),
        "indicator": lambda: indicator_body("KT-05", "04", "2026-Q3"),
    }
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.standins.messages", description="Prints a realistic message to start from."
    )
    parser.add_argument("kind", choices=kinds)
    sys.stdout.buffer.write(kinds[parser.parse_args(arguments).kind]() + b"\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

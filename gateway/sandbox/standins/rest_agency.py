"""The socio-economic system of the Department of Finance (kinh-te): values of indicators, in its own JSON.

`POST …/tra-cuu` with maChiTieu, maDiaBan, kyBaoCao. Numbers are text with a decimal comma, times `yyyyMMddHHmmss`
of +07:00. All figures are invented but of a realistic size. They are computed from the question, so a question
always has the same answer. Invariant: a period that is not over has no value.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from gateway.sandbox.standins.base import run
from gateway.sandbox.standins.rest_base import Refused, RestStandIn

_HERE: Final = timezone(timedelta(hours=7))
_PERIOD: Final = re.compile(r"([0-9]{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?$")
PROVINCE: Final = "04"
AREAS: Final = {
    PROVINCE: "Tỉnh Cao Bằng", "01273": "Phường Thục Phán", "01279": "Phường Nùng Trí Cao",
    "01288": "Phường Tân Giang", "01304": "Xã Bảo Lạc",
    "01392": "Xã Trường Hà", "01414": "Xã Hà Quảng", "01447": "Xã Trà Lĩnh", "01456": "Xã Quang Hán",
    "01477": "Xã Trùng Khánh",
    "01561": "Xã Quảng Uyên", "01654": "Xã Hòa An", "01726": "Xã Nguyên Bình", "01786": "Xã Đông Khê",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """One indicator, and the bounds of its figures for the province and for a commune."""

    title: str
    unit: str
    frequencies: str
    province: tuple[str, str]
    commune: tuple[str, str]
    sums_up: bool
    office: tuple[str, str]


_PLAN = ("Lương Thị Bích Ngọc", "0206 000 0801")
_BUDGET = ("Nông Đức Khải", "0206 000 0815")
_SOCIAL = ("Hoàng Thị Mỵ", "0206 000 0822")
SERIES: Final = {
    "KT-01": Series("Tổng sản phẩm trên địa bàn (GRDP)", "tỷ đồng", "NQ", ("24150.5", "27980.9"), ("310.2", "1480.7"),
                    True, _PLAN),
    "KT-02": Series("Tốc độ tăng GRDP", "%", "NQ", ("5.02", "8.46"), ("3.10", "9.75"), False, _PLAN),
    "KT-03": Series("GRDP bình quân đầu người", "triệu đồng", "N", ("44.2", "52.8"), ("31.5", "78.9"), False, _PLAN),
    "KT-04": Series("Chỉ số sản xuất công nghiệp", "%", "QT", ("98.4", "114.6"), ("92.3", "121.8"), False, _PLAN),
    "KT-05": Series("Thu ngân sách nhà nước trên địa bàn", "tỷ đồng", "NQT", ("2105.400", "2890.750"),
    ("4.250", "186.400"), True, _BUDGET),
    "KT-06": Series("Chi ngân sách địa phương", "tỷ đồng", "NQ", ("11890.300", "14650.900"), ("62.700", "241.300"),
                    True, _BUDGET),
    "KT-07": Series("Giải ngân vốn đầu tư công", "%", "NQT", ("31.40", "96.20"), ("18.50", "99.10"), False, _BUDGET),
    "KT-08": Series("Tổng mức bán lẻ hàng hóa và dịch vụ", "tỷ đồng", "NQT", ("12480.6", "15310.2"),
    ("88.4", "1920.5"), True, _PLAN),
    "KT-09": Series("Chỉ số giá tiêu dùng", "%", "QT", ("100.12", "104.38"), ("99.85", "104.90"), False, _PLAN),
    "KT-10": Series("Số doanh nghiệp thành lập mới", "doanh nghiệp", "NQT", ("148", "236"), ("1", "42"), True, _PLAN),
    "KT-11": Series("Kim ngạch xuất nhập khẩu qua cửa khẩu", "triệu USD", "NQT", ("788.45", "1240.60"),
    ("0.85", "610.20"), True, _PLAN),
    "KT-12": Series("Lượt khách du lịch", "nghìn lượt", "NQT", ("1650.0", "2480.0"), ("3.2", "640.5"), True, _PLAN),
    "XH-01": Series("Dân số trung bình", "nghìn người", "N", ("538.4", "552.1"), ("5.8", "41.6"), False, _SOCIAL),
    "XH-02": Series("Tỷ lệ lao động qua đào tạo", "%", "N", ("47.5", "58.2"), ("28.4", "71.3"), False, _SOCIAL),
    "XH-03": Series("Tỷ lệ hộ nghèo đa chiều", "%", "N", ("15.20", "24.90"), ("2.10", "48.70"), False, _SOCIAL),
    "XH-05": Series("Số người được giải quyết việc làm", "người", "NQ", ("14200", "18900"), ("86", "1240"), True,
                    _SOCIAL),
    "GD-01": Series("Tỷ lệ trường đạt chuẩn quốc gia", "%", "N", ("38.60", "52.40"), ("0.00", "100.00"), False,
                    _SOCIAL),
    "YT-01": Series("Số giường bệnh trên một vạn dân", "giường", "N", ("36.8", "42.5"), ("0.0", "88.0"), False,
                    _SOCIAL),
    "YT-02": Series("Tỷ lệ bao phủ bảo hiểm y tế", "%", "NQ", ("95.80", "98.90"), ("91.20", "100.00"), False, _SOCIAL),
    "MT-04": Series("Tỷ lệ che phủ rừng", "%", "N", ("59.80", "61.20"), ("12.40", "79.50"), False, _SOCIAL),
}  # fmt: skip
_YEARS: Final = range(2010, 2100)  # the system was set up in 2010
_COMMUNES_SINCE: Final = datetime(2025, 7, 1, tzinfo=_HERE)  # of today; there is no figure of one from before
# figures that the contract's samples quote
_QUOTED: Final = {
    ("KT-05", PROVINCE, "2026-Q3"): ("612,450", "Số liệu sơ bộ đến hết ngày 30/9, chưa gồm thu chuyển nguồn.")
}


def _end(period: re.Match[str]) -> tuple[str, datetime]:
    """Frequency of a period, and the first moment after it."""
    year, quarter, month = int(period[1]), period[2], period[3]
    if quarter:
        last, frequency = int(quarter) * 3, "Q"
    elif month:
        last, frequency = int(month), "T"
    else:
        last, frequency = 12, "N"
    return frequency, datetime(year + last // 12, last % 12 + 1, 1, tzinfo=_HERE)


def _figure(series: Series, indicator: str, area: str, period: str, frequency: str) -> str:
    low, high = (Decimal(bound) for bound in (series.province if area == PROVINCE else series.commune))
    # the area sets most of the share; a quarter of it varies with the period
    place = int.from_bytes(hashlib.sha256(f"{indicator}/{area}".encode()).digest()[:4], "big")
    moved = int.from_bytes(hashlib.sha256(f"{indicator}/{area}/{period}".encode()).digest()[:4], "big")
    share = (Decimal(place) * 3 + Decimal(moved)) / Decimal(4 * 0xFFFFFFFF)
    value = low + (high - low) * share
    if series.sums_up:
        value /= {"N": 1, "Q": 4, "T": 12}[frequency]
    # as many decimals as the bounds have
    return format(value.quantize(Decimal(series.commune[0]), ROUND_HALF_UP), "f").replace(".", ",")


def look_up(indicator: str, area: str, period: str, now: float) -> dict[str, Any] | None:
    """The answer to a question. None if there is no such series or place."""
    series, match = SERIES.get(indicator), _PERIOD.match(period)
    if series is None or match is None or area not in AREAS or int(match[1]) not in _YEARS:
        return None
    frequency, end = _end(match)
    if frequency not in series.frequencies:
        return None
    published = end + timedelta(days=4, hours=8, minutes=30)
    if area != PROVINCE and published < _COMMUNES_SINCE:
        return None
    moment = datetime.fromtimestamp(now, UTC).astimezone(_HERE)
    head = {
        "maChiTieu": indicator,
        "maDiaBan": area,
        "kyBaoCao": period,
        "tanSuat": frequency,
        "donViTinh": series.unit,
    }
    if published > moment:
        return head | {"giaTri": "KCS", "tinhTrang": 9, "capNhat": f"{moment:%Y%m%d}000000"}
    value, note = _QUOTED.get((indicator, area, period), (_figure(series, indicator, area, period, frequency), None))
    age = moment - published
    status = 1 if age > timedelta(days=180) else 2 if age > timedelta(days=20) or note else 3
    content: dict[str, Any] = head | {"giaTri": value, "tinhTrang": status}
    if note is not None:
        content["ghiChu"] = note
    name, phone = series.office
    return content | {"canBo": {"hoTen": name, "dienThoai": phone}, "capNhat": f"{published:%Y%m%d%H%M%S}"}


@dataclass(slots=True)
class RestAgency(RestStandIn):
    """kinh-te."""

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        if not path.endswith("/tra-cuu"):
            raise Refused(404, self.error("KHONG_CO_DICH_VU", f"Không có dịch vụ {path}; gọi POST /tra-cuu."))
        asked = [content.get(name) for name in ("maChiTieu", "maDiaBan", "kyBaoCao")]
        if not all(isinstance(value, str) and value for value in asked):
            raise Refused(400, self.error("THIEU_THAM_SO", "Cần đủ maChiTieu, maDiaBan và kyBaoCao, kiểu chuỗi."))
        indicator, area, period = (str(value) for value in asked)
        result = look_up(indicator, area, period, self.clock())
        if result is None:
            raise Refused(404, self.error("KHONG_TIM_THAY", "Không có chỉ tiêu này cho địa bàn và kỳ báo cáo đã hỏi."))
        return result

    def error(self, code: str, text: str) -> dict[str, Any]:
        return {"maLoi": code, "thongBao": text}


def main(arguments: list[str] | None = None) -> int:
    return run(RestAgency, "rest_agency", arguments)


if __name__ == "__main__":
    sys.exit(main())

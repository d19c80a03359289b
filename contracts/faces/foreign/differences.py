"""Where a face takes a form that the decoder refuses: the published list. Faces agree on values; in all that is listed the decoder is stricter.

Each one is proved by `tests/contracts/faces/test_faces_agree.py`: the face takes the form, the decoder does not, and nothing else was found between
faces on generated schemas and messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from contracts.base.errors import Words

Face = Literal["XSD", "JSON Schema", "OpenAPI"]
_JSON: Final[tuple[Face, ...]] = ("JSON Schema", "OpenAPI")


@dataclass(frozen=True, slots=True)
class Difference:
    name: str
    says: Words
    faces: tuple[Face, ...]


DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "padding",
        Words(
            "Khoảng trắng quanh số, ngày giờ, true/false, trong base64",
            "White space around numbers, times and booleans, and in base64",
        ),
        ("XSD",),
    ),
    Difference(
        "number",
        Words(
            "Số có dấu + ở đầu, số 0 thừa, hoặc thiếu chữ số quanh dấu chấm",
            "A leading plus, needless zeros, no digit beside the point",
        ),
        ("XSD",),
    ),
    Difference("boolean", Words("1 và 0 thay cho true và false", "1 and 0 in place of true and false"), ("XSD",)),
    Difference(
        "nil",
        Words(
            "xsi:nil không kèm lý do absent, absent không kèm xsi:nil, xsi:nil bên cạnh các phần tử cùng tên",
            "xsi:nil without a reason, a reason without xsi:nil, xsi:nil beside items of its name",
        ),
        ("XSD",),
    ),
    Difference(
        "few",
        Words(
            "Danh sách có thể vắng mặt nhưng có ít phần tử hơn minItems: phần tử xsi:nil đứng thay cả danh sách",
            "Fewer items than minItems in a list that may be absent: one xsi:nil may stand for the whole list",
        ),
        ("XSD",),
    ),
    Difference("attributes", Words("Thuộc tính xsi:type", "The attribute xsi:type"), ("XSD",)),
    Difference("instruction", Words("Chỉ thị xử lý (<?…?>)", "Processing instructions (<?…?>)"), ("XSD",)),
    Difference("point", Words("1.0 hoặc 1e2 cho số nguyên", "1.0 or 1e2 for a whole number"), ("JSON Schema",)),
    Difference(
        "twice", Words("Một tên xuất hiện hai lần trong một đối tượng", "A name that stands twice in one object"), _JSON
    ),
    Difference(
        "characters",
        Words("Ký tự mà XML 1.0 không mang được, như \\u0000", "Characters that XML 1.0 cannot carry, such as \\u0000"),
        _JSON,
    ),
    Difference(
        "calendar",
        Words(
            "Ngày không có trong lịch (2026-02-30), nếu công cụ chỉ coi format là chú thích",
            "A day that is not in the calendar (2026-02-30), where a tool takes format for a remark",
        ),
        _JSON,
    ),
    Difference(
        "force",
        Words(
            "Mã không còn (hoặc chưa) hiệu lực vào ngày của bản tin",
            "A code that is not in force on the day of the message",
        ),
        ("XSD", *_JSON),
    ),
    Difference("digits", Words("Số dài hơn 1.000 chữ số", "Numbers of more than 1,000 digits"), ("XSD", *_JSON)),
)

"""The words of lists for people: a state as programs have it, and in Vietnamese beside it."""

from __future__ import annotations

from typing import Final

_VIETNAMESE: Final = {
    "in force": "có hiệu lực",
    "not in force": "không có hiệu lực",
    "expired": "đã hết hạn",
    "not-yet-valid": "chưa đến hạn",
    "suspended": "tạm dừng",
    "not-approved": "chưa đủ chữ ký",
    "not-confirmed": "quá hạn xác nhận",
    "adopted": "kế thừa khi nâng cấp, chưa có chữ ký",
    "overdue": "quá hạn xác nhận, vẫn dùng",
    "out-of-hours": "ngoài giờ",
    "active": "có hiệu lực",
    "proposed": "được đề xuất",
    "retired": "đã thôi",
    "revoked": "đã thu hồi",
    "removed": "đã bỏ",
    "ended": "đã hết hạn",
    "not yet": "chưa đến hạn",
    "unknown": "chưa rõ",
    "in use": "đang dùng",
    "replaced": "đã thay",
    "founding": "theo tài liệu đầu tiên, chưa có chữ ký",
    "operator": "người vận hành",
    "auditor": "kiểm toán viên",
}


def both(word: str) -> str:
    """`active / có hiệu lực`; a word that is not known here stays alone."""
    return f"{word} / {_VIETNAMESE[word]}" if word in _VIETNAMESE else word

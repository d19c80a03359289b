"""What the modules of failures share."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words


def kind(
    branch: Branch, code: str, status: int, title: tuple[str, str], what: tuple[str, str], after: tuple[str, str]
) -> Kind:
    return Kind(code, branch, status, Words(*title), Words(*what), Words(*after))


def theirs(code: str, status: int, title: tuple[str, str], what: tuple[str, str], after: tuple[str, str]) -> Kind:
    return kind(Branch.THEIRS, code, status, title, what, after)


SIGN_ANEW = (
    "Ký lại thông điệp theo trang «Giao thức» rồi gửi lại.",
    "Sign the message again as the wire page describes, and send it again.",
)
CLOCK = (
    "Đồng bộ đồng hồ máy gửi (NTP), ký lại ngay trước khi gửi.",
    "Set the sender's clock (NTP) and sign right before sending.",
)

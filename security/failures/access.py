"""Decisions over grants."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind
from security.failures.words import kind


def _denied(
    code: str, title: tuple[str, str], what: tuple[str, str], *, status: int = 403, first: tuple[str, str] = ("", "")
) -> Kind:
    after = (
        first[0] + "Liên hệ {ask} để xin hoặc sửa quyền truy cập {contract}, thao tác {operation}.",
        first[1] + "Ask {ask} for access to {contract}, operation {operation}, or for a change of it.",
    )
    return kind(Branch.POLICY, code, status, title, what, after)


ACCESS = (
    _denied(
        "access.no-grant",
        ("Chưa được cấp quyền", "No grant"),
        (
            "Cơ quan {agency} chưa có quyền nào; thao tác {operation} của {contract} bị từ chối.",
            "Agency {agency} holds no grant at all; operation {operation} of {contract} is refused.",
        ),
    ),
    _denied(
        "access.no-contract",
        ("Chưa được cấp quyền với hợp đồng dữ liệu này", "No grant for this contract"),
        (
            "Cơ quan {agency} có quyền khác, nhưng không có quyền nào với {contract}.",
            "Agency {agency} holds other grants, but none for {contract}.",
        ),
    ),
    _denied(
        "access.no-operation",
        ("Quyền không gồm thao tác này", "The grant lacks this operation"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} không gồm thao tác {operation}.",
            "Grant {grant} of agency {agency} for {contract} does not include the operation {operation}.",
        ),
    ),
    _denied(
        "access.expired",
        ("Quyền đã hết hạn", "The grant has expired"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} đã hết hạn lúc {valid_until}.",
            "Grant {grant} of agency {agency} for {contract} expired at {valid_until}.",
        ),
    ),
    _denied(
        "access.not-yet-valid",
        ("Quyền chưa có hiệu lực", "The grant is not yet in force"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} có hiệu lực từ {valid_from}.",
            "Grant {grant} of agency {agency} for {contract} is in force from {valid_from}.",
        ),
    ),
    _denied(
        "access.suspended",
        ("Quyền đang tạm dừng", "The grant is suspended"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} bị tạm dừng từ {since}{until}. Lý do: {reason}.",
            "Grant {grant} of agency {agency} for {contract} is suspended since {since}{until}. Reason: {reason}.",
        ),
    ),
    _denied(
        "access.not-approved",
        ("Quyền chưa được duyệt đủ", "The grant is not fully approved"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} chưa được hai cán bộ khác nhau ký duyệt; còn thiếu {lacking} chữ ký.",
            "Grant {grant} of agency {agency} for {contract} has not been signed by two different officers; {lacking} more must sign.",
        ),
    ),
    _denied(
        "access.denied",
        ("Bị cấm rõ ràng", "Expressly denied"),
        (
            "Quyết định {grant} cấm cơ quan {agency} thực hiện thao tác {operation} của {contract}.",
            "Decision {grant} forbids agency {agency} the operation {operation} of {contract}.",
        ),
    ),
    _denied(
        "access.out-of-hours",
        ("Ngoài giờ được phép", "Outside the granted hours"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} chỉ có hiệu lực trong giờ {hours} (giờ Việt Nam); mở lại lúc {opens}.",
            "Grant {grant} of agency {agency} for {contract} holds only {hours} (time in Vietnam); it opens again at {opens}.",
        ),
        first=(
            "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới. ",
            "Send it again after Retry-After, freshly signed. ",
        ),
    ),
    _denied(
        "access.quota",
        ("Đã dùng hết số lượt gọi", "The quota is used up"),
        (
            "Cơ quan {agency} đã dùng hết {calls} lượt mỗi {per} của quyền {grant} với {contract}; còn lại {left}; kỳ mới bắt đầu lúc {opens}.",
            "Agency {agency} has used all {calls} calls a {per} of grant {grant} for {contract}; {left} are left; the next count begins at {opens}.",
        ),
        status=429,
        first=(
            "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới. ",
            "Send it again after Retry-After, freshly signed. ",
        ),
    ),
)

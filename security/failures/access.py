"""Decisions over grants."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind
from security.failures.words import kind


def _denied(code: str, title: tuple[str, str], what: tuple[str, str]) -> Kind:
    after = (
        "Liên hệ {ask} để xin hoặc sửa quyền truy cập {contract}, thao tác {operation}.",
        "Ask {ask} for access to {contract}, operation {operation}, or for a change of it.",
    )
    return kind(Branch.POLICY, code, 403, title, what, after)


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
            "Quyền {grant} của cơ quan {agency} với {contract} đang bị tạm dừng.",
            "Grant {grant} of agency {agency} for {contract} is suspended.",
        ),
    ),
    _denied(
        "access.not-approved",
        ("Quyền chưa được duyệt đủ", "The grant is not fully approved"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} chưa được hai cán bộ khác nhau duyệt.",
            "Grant {grant} of agency {agency} for {contract} has not been approved by two different officers.",
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
)

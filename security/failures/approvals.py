"""Approvals of grants by officers."""

from __future__ import annotations

from security.failures.words import theirs

APPROVAL = (
    theirs(
        "approval.invalid",
        422,
        ("Chữ ký duyệt không đúng", "The approval does not hold"),
        (
            "Chữ ký mang tên {officer} không phải do khóa đã đăng ký của cán bộ đó ký trên nội dung hiện tại của {subject}.",
            "The signature that names {officer} was not made by that officer's registered key over {subject} as it stands.",
        ),
        (
            "Xem nội dung bằng `lgsp access show` rồi ký lại bằng `lgsp access approve`.",
            "Read the content with `lgsp access show`, then sign it with `lgsp access approve`.",
        ),
    ),
    theirs(
        "approval.not-in-office",
        409,
        ("Cán bộ không còn quyền duyệt", "The officer may not approve"),
        ("Cán bộ {officer} đang ở trạng thái {state}.", "Officer {officer} is {state}."),
        ("Cần một cán bộ đang giữ nhiệm vụ duyệt.", "Another officer, who is in office, must approve."),
    ),
    theirs(
        "approval.own-proposal",
        409,
        ("Người đề xuất không được tự duyệt", "The proposer may not approve"),
        ("{subject} do chính {officer} đề xuất.", "{subject} was proposed by {officer}."),
        ("Cần hai cán bộ khác duyệt.", "Two other officers must approve it."),
    ),
)

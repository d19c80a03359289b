"""Kinds of failure of whoever asks for too much at once: calls, connections, processor time."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "limit.agency",
            Branch.POLICY,
            429,
            Words("Quá nhiều yêu cầu cùng lúc", "Too many calls at once"),
            Words(
                "Cơ quan {agency} đang có {most} yêu cầu được xử lý cùng lúc ở tiến trình này, là mức tối đa.",
                "Agency {agency} has {most} calls under way in this process, which is the most there may be.",
            ),
            Words(
                "Chờ các yêu cầu trước xong, hoặc gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới.",
                "Wait for those to end, or send again after the time in Retry-After, freshly signed.",
            ),
        ),
        Kind(
            "limit.source",
            Branch.THEIRS,
            429,
            Words("Quá nhiều yêu cầu cùng lúc", "Too many calls at once"),
            Words(
                "Địa chỉ {source} đang có {most} yêu cầu không kèm chứng thư đã đăng ký, là mức tối đa.",
                "Address {source} has {most} requests without a registered certificate under way, which is the most there may be.",
            ),
            Words(
                "Dùng chứng thư đã đăng ký, hoặc gửi lại sau thời gian ghi trong Retry-After.",
                "Use a registered certificate, or send again after the time in Retry-After.",
            ),
        ),
        Kind(
            "limit.connections",
            Branch.THEIRS,
            429,
            Words("Quá nhiều kết nối", "Too many connections"),
            Words(
                "{kind} {name} đang giữ {most} kết nối tới tiến trình này, là mức tối đa.",
                "{kind} {name} holds {most} connections to this process, which is the most there may be.",
            ),
            Words(
                "Dùng lại các kết nối đang mở; đóng những kết nối không dùng; kết nối lại sau thời gian ghi trong Retry-After.",
                "Use the connections that are open, and close those that are not used; connect again after the time in Retry-After.",
            ),
        ),
        Kind(
            "limit.cost",
            Branch.POLICY,
            429,
            Words("Thông điệp lớn tốn quá nhiều công xử lý", "Large messages cost too much work"),
            Words(
                "Các thông điệp lớn của cơ quan {agency} đã dùng hết mức {share} giây bộ xử lý mỗi giây ở tiến trình này.",
                "The large messages of agency {agency} have used up the budget of {share} processor seconds a second in this process.",
            ),
            Words(
                "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới; chia nhỏ thông điệp, và sửa những thông điệp đã bị từ chối.",
                "Send again after the time in Retry-After, freshly signed; split messages, and mend those that were refused.",
            ),
        ),
        Kind(
            "body.too-costly",
            Branch.THEIRS,
            413,
            Words("Thân thư tốn quá nhiều công xử lý", "Body too costly"),
            Words(
                "Đọc thân thư này tốn hơn {seconds} giây bộ xử lý.",
                "To read this body would take more than {seconds} seconds of processor time.",
            ),
            Words("Chia nhỏ thông điệp rồi gửi lại.", "Split the message, then send the parts."),
        ),
    ]
)

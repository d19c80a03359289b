"""The failures of delivery itself; those of the provider stand in `adapters.failures`."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "provider.resting",
            Branch.OURS,
            503,
            Words("Tạm ngừng gọi hệ thống đích", "The receiving system is being left alone"),
            Words(
                "Hệ thống {system} đã lỗi nhiều lần liên tiếp; trục tạm ngừng gọi trong {seconds} giây. Chưa có dữ liệu nào được gửi đi.",
                "The system {system} failed several times in a row; the gateway leaves it alone for {seconds} seconds. Nothing was sent.",
            ),
            Words(
                "Gửi lại sau thời gian ghi trong Retry-After, với cùng mã thông điệp.",
                "Try again after the time in Retry-After, with the same message id.",
            ),
        ),
        Kind(
            "provider.no-endpoint",
            Branch.OURS,
            502,
            Words("Hệ thống đích chưa đăng ký địa chỉ", "The receiving system has no address"),
            Words(
                "Hệ thống {system} không có địa chỉ hoặc khóa ký đã đăng ký để nhận thông điệp.",
                "The system {system} has no registered address or signing key to receive messages.",
            ),
            Words("Báo cho người vận hành trục.", "Tell the gateway's operators."),
        ),
        Kind(
            "provider.no-format",
            Branch.OURS,
            502,
            Words("Hệ thống đích dùng định dạng khác", "The receiving system speaks another format"),
            Words(
                "Hệ thống {system} đăng ký định dạng {format}, định dạng này không có trong hợp đồng {contract} mà thông điệp theo.",
                "The system {system} is registered with the format {format}, which the contract {contract} of this message does not have.",
            ),
            Words("Báo cho người vận hành trục.", "Tell the gateway's operators."),
        ),
        Kind(
            "provider.no-operation",
            Branch.OURS,
            502,
            Words("Hệ thống đích đăng ký phiên bản cũ hơn", "The receiving system is registered for an older version"),
            Words(
                "Hệ thống {system} đăng ký {contract} bản {version}, bản này chưa có thao tác {operation}.",
                "The system {system} is registered for {version} of {contract}, which does not have the operation {operation} yet.",
            ),
            Words("Báo cho người vận hành trục.", "Tell the gateway's operators."),
        ),
        Kind(
            "delivery.given-up",
            Branch.OURS,
            502,
            Words("Đã ngừng thử gửi", "Delivery was given up"),
            Words(
                "Sau {tries} lần thử, thông điệp vẫn chưa tới được hệ thống {system}; lỗi sau cùng: {last}.",
                "After {tries} tries the message did not reach the system {system}; the last failure was {last}.",
            ),
            Words(
                "Người vận hành có thể cho gửi lại khi hệ thống đích hoạt động trở lại.",
                "The operators can have it sent again when the receiving system is back.",
            ),
        ),
        Kind(
            "delivery.fault",
            Branch.OURS,
            500,
            Words("Lỗi nội bộ khi chuyển thông điệp", "A fault of ours while delivering"),
            Words(
                "Trục gặp lỗi nội bộ khi chuyển thông điệp tới hệ thống {system}.",
                "The gateway met a fault of its own while delivering to the system {system}.",
            ),
            Words("Báo cho người vận hành trục.", "Tell the gateway's operators."),
        ),
    ]
)

"""What the agent says no with: to the old system in its own protocol, to the gateway as a provider, to people on the command line."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Branch, Kind, Words, register


def _kind(
    branch: Branch, code: str, status: int, title: tuple[str, str], what: tuple[str, str], after: tuple[str, str]
) -> Kind:
    return Kind(code, branch, status, Words(*title), Words(*what), Words(*after))


_LATER: Final = (
    "Thử lại sau thời gian ghi trong Retry-After; chạy `lgsp agent check` trên máy có tác tử để biết nguyên nhân.",
    "Try again after the time in Retry-After; `lgsp agent check` on the agent's machine tells the cause.",
)

register(
    [
        # --- towards the old system, as caller --------------------------------------------------------------------------
        _kind(
            Branch.THEIRS,
            "agent.secret",
            401,
            ("Sai mã bí mật nội bộ", "Wrong local secret"),
            (
                "Lời gọi tới tác tử không có mã bí mật nội bộ, hoặc mã sai.",
                "The call to the agent has no local secret, or a wrong one.",
            ),
            (
                "Gửi tiêu đề Lgsp-Agent-Secret, hoặc Basic với mật khẩu là mã bí mật trong tệp đã cấu hình.",
                "Send the header Lgsp-Agent-Secret, or Basic with the secret of the configured file as the password.",
            ),
        ),
        _kind(
            Branch.THEIRS,
            "agent.address",
            404,
            ("Tác tử không phục vụ địa chỉ này", "The agent does not serve this address"),
            (
                "Tác tử không chuyển {method} {path}. Nó chuyển: {allowed}.",
                "The agent does not carry {method} {path}. It carries: {allowed}.",
            ),
            (
                "Sửa địa chỉ, hoặc thêm hợp đồng vào `contracts` trong tệp cấu hình của tác tử.",
                "Correct the address, or add the contract to `contracts` in the agent's configuration.",
            ),
        ),
        _kind(
            Branch.THEIRS,
            "agent.body-too-large",
            413,
            ("Nội dung quá lớn", "Body too large"),
            ("Nội dung vượt quá {limit} byte.", "The body exceeds {limit} bytes."),
            ("Chia nhỏ nội dung.", "Send less at once."),
        ),
        _kind(
            Branch.THEIRS,
            "agent.body-too-slow",
            408,
            ("Gửi nội dung quá chậm", "Body too slow"),
            ("Nội dung không đến đủ trong {seconds} giây.", "The body did not arrive within {seconds} seconds."),
            ("Gửi lại toàn bộ thông điệp.", "Send the whole message again."),
        ),
        _kind(
            Branch.THEIRS,
            "agent.body-encoded",
            415,
            ("Nội dung bị nén", "Encoded body"),
            ("Tác tử không nhận nội dung mã hóa kiểu {got}.", "The agent takes no body with the content coding {got}."),
            ("Gửi nội dung không nén.", "Send the body as it is."),
        ),
        _kind(
            Branch.THEIRS,
            "agent.media-type",
            415,
            ("Kiểu nội dung không được nhận", "Media type not accepted"),
            (
                "Kiểu nội dung {got} không được nhận; cần {expected}.",
                "The media type {got} is not accepted; {expected} is needed.",
            ),
            ("Ghi đúng Content-Type.", "Set Content-Type accordingly."),
        ),
        _kind(
            Branch.THEIRS,
            "agent.message-id",
            400,
            ("Mã thông điệp không hợp lệ", "Unacceptable message id"),
            (
                "Mã thông điệp trong {where} phải có từ 1 đến {most} ký tự ASCII thấy được, không có dấu nháy kép.",
                "The message id in {where} must have 1 to {most} visible ASCII characters without a double quote.",
            ),
            (
                "Sửa mã thông điệp, hoặc bỏ đi để tác tử tự đặt.",
                "Correct it, or leave it out and let the agent choose one.",
            ),
        ),
        _kind(
            Branch.THEIRS,
            "agent.envelope",
            400,
            ("Phong bì SOAP không dùng được", "Unusable SOAP envelope"),
            ("Tác tử không chuyển được phong bì này: {why}.", "The agent cannot carry this envelope: {why}."),
            (
                "Gửi phong bì không ký, có đúng một phần tử trong Body; tác tử sẽ ký.",
                "Send an unsigned envelope with exactly one element in its Body; the agent signs.",
            ),
        ),
        _kind(
            Branch.THEIRS,
            "agent.other-body",
            409,
            ("Mã thông điệp đã dùng cho nội dung khác", "Message id already used for another content"),
            (
                "Mã thông điệp {message} đang chờ trong hàng đợi của tác tử với nội dung khác.",
                "The message id {message} waits in the agent's queue with another content.",
            ),
            ("Dùng mã mới cho thông điệp mới.", "Use a new id for a new message."),
        ),
        _kind(
            Branch.OURS,
            "agent.busy",
            503,
            ("Tác tử đang quá tải", "The agent is overloaded"),
            ("Đã có {limit} lời gọi đang xử lý.", "{limit} calls are being carried already."),
            _LATER,
        ),
        _kind(
            Branch.OURS,
            "agent.queue-full",
            503,
            ("Hàng đợi của tác tử đã đầy", "The agent's queue is full"),
            (
                "Hàng đợi đã đạt giới hạn ({limit}); thông điệp này chưa được nhận.",
                "The queue has reached its bound ({limit}); this message was not taken in.",
            ),
            _LATER,
        ),
        _kind(
            Branch.OURS,
            "agent.unreachable",
            503,
            ("Không kết nối được trục liên thông", "The gateway cannot be reached"),
            (
                "Tác tử không kết nối được trục liên thông ({reason}); câu hỏi không được xếp hàng.",
                "The agent cannot reach the gateway ({reason}); questions are not queued.",
            ),
            _LATER,
        ),
        _kind(
            Branch.OURS,
            "agent.timeout",
            504,
            ("Trục liên thông không trả lời kịp", "The gateway did not answer in time"),
            (
                "Trục liên thông không trả lời trong {seconds} giây.",
                "The gateway did not answer within {seconds} seconds.",
            ),
            _LATER,
        ),
        _kind(
            Branch.OURS,
            "agent.bad-answer",
            502,
            ("Câu trả lời không chứng minh được", "An answer without proof"),
            (
                "Câu trả lời không có chữ ký hợp lệ của trục liên thông ({reason}); tác tử đã bỏ câu trả lời.",
                "The answer bears no valid signature of the gateway ({reason}); the agent discarded it.",
            ),
            (
                "Báo ngay cho bộ phận an toàn: có thể có kẻ đứng giữa, hoặc khóa của trục đã thay.",
                "Tell the security officers at once: somebody may stand in between, or the gateway's key was replaced.",
            ),
        ),
        _kind(
            Branch.OURS,
            "agent.identity",
            500,
            ("Danh tính của tác tử không dùng được", "The agent's identity cannot be used"),
            (
                "Thư mục danh tính của tác tử thiếu hoặc sai: {reason}.",
                "The agent's identity folder lacks something, or is wrong: {reason}.",
            ),
            (
                "Chạy `lgsp agent check`; xin Trung tâm cấp phần còn thiếu.",
                "Run `lgsp agent check`; have the centre hand out what is missing.",
            ),
        ),
        _kind(
            Branch.OURS,
            "agent.fault",
            500,
            ("Lỗi của tác tử", "The agent's own fault"),
            (
                "Tác tử gặp lỗi ngoài dự kiến khi xử lý lời gọi này.",
                "The agent met an unforeseen fault with this call.",
            ),
            ("Xem nhật ký của tác tử và báo cho nơi cung cấp.", "Look at the agent's log and report it to its makers."),
        ),
        _kind(
            Branch.OURS,
            "agent.too-old",
            504,
            ("Thông điệp chờ quá lâu", "The message waited too long"),
            (
                "Thông điệp không chuyển được trong {days} ngày; lần thử cuối: {reason}.",
                "The message could not be delivered within {days} days; the last try: {reason}.",
            ),
            (
                "Khắc phục nguyên nhân rồi chạy `lgsp agent retry`.",
                "Mend the cause, then run `lgsp agent retry`.",
            ),
        ),
        # --- towards the gateway, as provider ---------------------------------------------------------------------------
        _kind(
            Branch.THEIRS,
            "agent.channel",
            401,
            ("Không phải trục liên thông", "Not the gateway"),
            (
                "Chứng thư TLS của kết nối thuộc về {got}; chỉ trục liên thông được gọi địa chỉ này.",
                "The TLS certificate of the connection is that of {got}; only the gateway may call here.",
            ),
            ("Gọi qua trục liên thông.", "Call through the gateway."),
        ),
        _kind(
            Branch.THEIRS,
            "agent.replayed",
            409,
            ("Lời gọi bị phát lại", "Replayed call"),
            ("Chính lời gọi đã ký này đã được nhận trước đó.", "This very signed call was taken before."),
            ("Ký lại rồi gửi.", "Sign it anew."),
        ),
        _kind(
            Branch.OURS,
            "agent.system-down",
            503,
            ("Hệ thống nghiệp vụ không chạy", "The component system is down"),
            (
                "Tác tử không kết nối được hệ thống nghiệp vụ ({reason}); chưa có gì được gửi tới hệ thống.",
                "The agent cannot reach the component system ({reason}); nothing was sent to it.",
            ),
            ("Gửi lại sau.", "Send it again later."),
        ),
        _kind(
            Branch.OURS,
            "agent.system-late",
            504,
            ("Hệ thống nghiệp vụ không trả lời kịp", "The component system did not answer in time"),
            (
                "Hệ thống nghiệp vụ không trả lời trong {seconds} giây; có thể nó đã xử lý.",
                "The component system did not answer within {seconds} seconds; it may have acted.",
            ),
            (
                "Hỏi cơ quan quản lý hệ thống trước khi gửi lại.",
                "Ask the agency that runs the system before sending again.",
            ),
        ),
        _kind(
            Branch.OURS,
            "agent.system-answer",
            502,
            ("Câu trả lời của hệ thống nghiệp vụ không dùng được", "The component system's answer cannot be used"),
            (
                "Câu trả lời của hệ thống nghiệp vụ không dùng được ({reason}); có thể nó đã xử lý.",
                "The answer of the component system cannot be used ({reason}); it may have acted.",
            ),
            ("Cơ quan quản lý hệ thống cần sửa câu trả lời.", "The agency that runs the system must mend its answer."),
        ),
        _kind(
            Branch.OURS,
            "agent.in-doubt",
            500,
            ("Không rõ hệ thống đã xử lý hay chưa", "Whether the system acted is not known"),
            (
                "Thông điệp {message} đã được đưa cho hệ thống nghiệp vụ mà chưa rõ kết quả; tác tử không đưa lần thứ hai.",
                "Message {message} was handed to the component system and its outcome is not known; the agent does not hand it over twice.",
            ),
            (
                "Cơ quan quản lý hệ thống kiểm tra, rồi chạy `lgsp agent settle` với kết quả.",
                "The agency that runs the system looks, then runs `lgsp agent settle` with what it found.",
            ),
        ),
        # --- towards people ---------------------------------------------------------------------------------------------
        _kind(
            Branch.THEIRS,
            "agent.configuration",
            422,
            ("Cấu hình của tác tử sai", "The agent's configuration is wrong"),
            ("Sai tại {where}: {rule}.", "Wrong at {where}: {rule}."),
            ("Sửa tệp cấu hình; xem docs/agent.md.", "Correct the configuration; see docs/agent.md."),
        ),
    ]
)

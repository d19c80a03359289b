"""The failures that the client kit itself finds, with their words. What the gateway refuses keeps the gateway's own code and words."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register


def _kind(
    code: str, branch: Branch, status: int, title: tuple[str, str], what: tuple[str, str], then: tuple[str, str]
) -> Kind:
    return Kind(f"client.{code}", branch, status, Words(*title), Words(*what), Words(*then))


_TELL = (
    "Giữ nguyên hai điểm kiểm tra trong {kept}, ngừng tin nhật ký này và báo người phụ trách an toàn thông tin của hai bên.",
    "Keep both checkpoints in {kept}, stop trusting this log and tell the security officers of both sides.",
)

register(
    [
        _kind(
            "identity",
            Branch.THEIRS,
            400,
            ("Thư mục định danh không dùng được", "The identity folder cannot be used"),
            ("Trong {folder}: {reason}.", "In {folder}: {reason}."),
            (
                "Dùng đúng thư mục nhận khi đăng ký, đủ tệp và không sửa; xem docs/vi/client.md.",
                "Take the folder as enrolment gave it, whole and unchanged; see docs/client.md.",
            ),
        ),
        _kind(
            "identity-expired",
            Branch.THEIRS,
            400,
            ("Chứng thư hết hạn hoặc chưa có hiệu lực", "A certificate is not in force"),
            (
                "{file} có hiệu lực từ {valid_from} đến {valid_until}, bây giờ là {now}.",
                "{file} is in force from {valid_from} to {valid_until}; it is now {now}.",
            ),
            (
                "Kiểm tra đồng hồ máy; nếu đúng giờ, xin cấp chứng thư mới (`lgsp client keygen`).",
                "Check the clock of this host; if it is right, have a new certificate issued (`lgsp client keygen`).",
            ),
        ),
        _kind(
            "identity-mode",
            Branch.THEIRS,
            400,
            ("Khóa riêng để lộ cho người khác", "A private key is open to others"),
            (
                "{file} có quyền {mode}; người khác trên máy đọc hoặc sửa được.",
                "{file} has mode {mode}; others on this host can read or change it.",
            ),
            ("Chạy `chmod {wanted} {file}`.", "Run `chmod {wanted} {file}`."),
        ),
        _kind(
            "log-forked",
            Branch.OURS,
            502,
            ("Nhật ký kiểm toán bị viết lại", "The audit log was rewritten"),
            (
                "Điểm kiểm tra kích thước {newer_size} của nhật ký {origin} mâu thuẫn với điểm kiểm tra kích thước {older_size} đã giữ: {reason}.",
                "The checkpoint of size {newer_size} of the log {origin} contradicts the one of size {older_size} that is kept here: {reason}.",
            ),
            _TELL,
        ),
        _kind(
            "log-key",
            Branch.OURS,
            502,
            ("Điểm kiểm tra không do khóa nhật ký ký", "A checkpoint is not signed by the log's key"),
            (
                "Khóa của nhật ký {origin} trong log.vkey không ký điểm kiểm tra này: {reason}.",
                "The key of the log {origin} in log.vkey did not sign this checkpoint: {reason}.",
            ),
            (
                "Hỏi người vận hành trục: nếu nhật ký được mở mới, nhận log.vkey mới qua kênh tin cậy. Bằng chứng giữ tại {kept}.",
                "Ask the gateway's operators: if the log was opened anew, take its new log.vkey by a way you trust. The evidence is in {kept}.",
            ),
        ),
        _kind(
            "log-other",
            Branch.OURS,
            502,
            ("Trục đưa ra một nhật ký khác", "The gateway shows another log"),
            (
                "Trục đưa ra nhật ký {shown}, không phải {origin} mà hệ thống này làm chứng.",
                "The gateway shows the log {shown}, and not {origin}, of which this system is a witness.",
            ),
            (
                "Nếu trục được khôi phục từ bản sao lưu, `lgsp client accept-log` cho biết nhật ký mới có chứng minh được là nối tiếp không. Bằng chứng giữ tại {kept}.",
                "If the gateway was restored from a backup, `lgsp client accept-log` tells whether the new log proves that it follows the old one. The evidence is in {kept}.",
            ),
        ),
        _kind(
            "log-rolled-back",
            Branch.OURS,
            502,
            ("Nhật ký kiểm toán bị lùi lại", "The audit log was rolled back"),
            (
                "Nhật ký {origin} đã ký kích thước {older_size}, nay chỉ còn {newer_size} và không chứng minh được phần đã ký.",
                "The log {origin} signed the size {older_size}; it now shows {newer_size} and cannot prove what it had signed.",
            ),
            _TELL,
        ),
        _kind(
            "log-succession",
            Branch.OURS,
            502,
            ("Nhật ký mới không chứng minh được là nối tiếp", "The new log does not prove that it follows the old one"),
            (
                "Nhật ký {shown} tự nhận nối tiếp {origin}: {reason}.",
                "The log {shown} claims to follow {origin}: {reason}.",
            ),
            (
                "Không chấp nhận; giữ các điểm kiểm tra và hỏi người phụ trách an toàn thông tin của hai bên.",
                "Do not accept it; keep the checkpoints, and ask the security officers of both sides.",
            ),
        ),
        _kind(
            "log-unproven",
            Branch.OURS,
            502,
            ("Nhật ký kiểm toán không chứng minh được", "The audit log does not prove itself"),
            (
                "Đã {hours} giờ nhật ký {origin} không chứng minh được kích thước {newer_size} và {older_size} là cùng một nhật ký.",
                "For {hours} hours the log {origin} has not proved that the sizes {newer_size} and {older_size} are of one log.",
            ),
            _TELL,
        ),
        _kind(
            "no-connection",
            Branch.OURS,
            503,
            ("Không kết nối được trục", "The gateway cannot be reached"),
            ("Gửi {method} {url} không được: {reason}.", "{method} {url} failed: {reason}."),
            (
                "Kiểm tra mạng và địa chỉ trong system.json, rồi gửi lại cùng mã thông điệp: trục không xử lý hai lần.",
                "Check the network and the address in system.json, then send it again with the same message id: it is never handled twice.",
            ),
        ),
        _kind(
            "not-proven",
            Branch.OURS,
            502,
            ("Câu trả lời không được chứng minh", "The answer does not prove itself"),
            (
                "Câu trả lời của {method} {url} (trạng thái {status}) không do trục ký cho yêu cầu này: {reason}.",
                "The answer to {method} {url} (status {status}) was not signed by the gateway for this request: {reason}.",
            ),
            (
                "Coi như chưa nhận được trả lời: không dùng nội dung, kiểm tra đồng hồ và đường truyền, rồi gửi lại cùng mã thông điệp.",
                "Treat it as not received: use nothing of it, check the clock and the path in between, then repeat the same message id.",
            ),
        ),
        _kind(
            "state",
            Branch.OURS,
            500,
            ("Không giữ được điểm kiểm tra", "Checkpoints cannot be kept"),
            ("Không ghi được vào {folder}: {reason}.", "Nothing can be written to {folder}: {reason}."),
            (
                "Chọn thư mục ghi được (`state=`, `--state`) và còn chỗ trống; nếu đã gửi thông điệp, hãy gửi lại cùng mã.",
                "Name a folder that can be written to (`state=`, `--state`) and has room; if the message was sent, repeat the same id.",
            ),
        ),
        _kind(
            "taken",
            Branch.THEIRS,
            409,
            ("Khóa đã có", "There are keys already"),
            (
                "Trong {folder} đã có {files}; khóa không bao giờ bị ghi đè.",
                "In {folder} there are {files} already; a key is never written over.",
            ),
            (
                "Chọn thư mục khác bằng --out; muốn thay khóa thì lập thư mục mới.",
                "Name another folder with --out; to replace keys begin a new one.",
            ),
        ),
        _kind(
            "usage",
            Branch.THEIRS,
            400,
            ("Gọi bộ công cụ sai cách", "The kit was called in a wrong way"),
            ("Không thực hiện được lời gọi: {what}.", "The call cannot be made: {what}."),
            ("Xem docs/vi/client.md.", "See docs/client.md."),
        ),
    ]
)

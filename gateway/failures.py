"""The failures that the rooms of `gateway/` raise, with their words. Each room has its part; keep codes sorted within it."""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

# --- journal ----------------------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "journal.altered",
            Branch.OURS,
            503,
            Words("Cơ sở dữ liệu không giữ đúng điều vừa ghi", "The database does not hold what was just written"),
            Words(
                "Đọc lại trước khi xác nhận: {what} không như đã ghi; không có gì được ghi và không có gì được xác nhận.",
                "Read back before it was acknowledged: {what} is not as it was written; nothing was kept and nothing acknowledged.",
            ),
            Words(
                "Người vận hành: chạy `lgsp doctor`; có trigger, rule, view hoặc bảng bị sửa trong cơ sở dữ liệu (docs/vi/operating.md).",
                "Operators: run `lgsp doctor`; a trigger, a rule, a view or a changed table is in the database (docs/operating.md).",
            ),
        ),
        Kind(
            "journal.busy",
            Branch.OURS,
            503,
            Words("Trục đang quá tải", "The gateway is overloaded"),
            Words(
                "Quá nhiều thông điệp đang chờ ghi nhật ký; thông điệp này chưa được nhận.",
                "Too many messages wait to be journalled; this one was not accepted.",
            ),
            Words(
                "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới.",
                "Send it again after the time in Retry-After, freshly signed.",
            ),
        ),
        Kind(
            "journal.fenced",
            Branch.OURS,
            503,
            Words("Tiến trình này đã bị thay thế", "This process was replaced"),
            Words(
                "Tiến trình xử lý thông điệp bị coi là đã dừng; giao dịch được chuyển sang trạng thái chờ xác minh.",
                "The process that handled the message was taken for dead; the transfer was closed as in doubt.",
            ),
            Words(
                "Gửi lại cùng mã thông điệp với chữ ký mới để biết trạng thái giao dịch.",
                "Repeat the same message id, freshly signed, to learn the state of the transfer.",
            ),
        ),
        Kind(
            "journal.row-refused",
            Branch.OURS,
            500,
            Words("Không ghi được nhật ký cho thông điệp này", "This message could not be journalled"),
            Words(
                "Cơ sở dữ liệu từ chối một dòng của thông điệp này ({reason}); không có gì được ghi.",
                "The database refused a row of this message ({reason}); nothing of it was written.",
            ),
            Words(
                "Báo cho người vận hành trục, kèm thời điểm gửi.",
                "Tell the gateway's operators, with the time of sending.",
            ),
        ),
        Kind(
            "journal.schema",
            Branch.OURS,
            500,
            Words("Cơ sở dữ liệu không đúng phiên bản", "The database has another version"),
            Words(
                "Cơ sở dữ liệu ở phiên bản {found}, chương trình cần {expected}.",
                "The database is at revision {found}, this program needs {expected}.",
            ),
            Words(
                "Khởi động bằng `lgsp up` của chương trình mới: nó tự nâng cấp bảng; hoặc dùng đúng phiên bản chương trình.",
                "Start it with `lgsp up` of the newer program, which brings the tables up to date, or use the matching version.",
            ),
        ),
        Kind(
            "journal.schema-altered",
            Branch.OURS,
            503,
            Words("Cấu trúc cơ sở dữ liệu đã bị sửa", "The schema of the database was altered"),
            Words(
                "{count} đối tượng trong cơ sở dữ liệu khác với cấu trúc của chương trình: {objects}. Trục không nhận gì cho tới khi được khôi phục.",
                "{count} objects of the database are not as this program made them: {objects}. Nothing is taken in until that is undone.",
            ),
            Words(
                "Người vận hành: giữ lại bằng chứng, gỡ những đối tượng đó, rồi chạy `lgsp doctor` và `lgsp audit verify` (docs/vi/operating.md).",
                "Operators: keep the evidence, take these objects away, then run `lgsp doctor` and `lgsp audit verify` (docs/operating.md).",
            ),
        ),
        Kind(
            "journal.unavailable",
            Branch.OURS,
            503,
            Words("Nhật ký tạm thời không ghi được", "The journal cannot be written for now"),
            Words(
                "Trục không ghi được thông điệp xuống đĩa ({reason}); thông điệp chưa được chuyển đi.",
                "The gateway could not bring the message to disk ({reason}); it was not forwarded.",
            ),
            Words(
                "Gửi lại sau ít phút với chữ ký mới; trùng mã thông điệp không gây xử lý hai lần.",
                "Send it again in a few minutes, freshly signed; the same message id is never handled twice.",
            ),
        ),
    ]
)

# --- processes that ended (in entries of the log: nobody was there to answer) ----------------------------------------------
register(
    [
        Kind(
            "process.died",
            Branch.OURS,
            503,
            Words("Tiến trình dừng khi đang xử lý", "The process died with the call in hand"),
            Words(
                "Tiến trình nhận lời gọi này đã dừng trước khi ghi nhật ký; chưa có gì được chuyển đi.",
                "The process that had taken this call up ended before it had logged it; nothing was sent on.",
            ),
            Words(
                "Gửi lại với chữ ký mới. Người vận hành: xem ai có lời gọi dang dở mỗi lần tiến trình dừng.",
                "Send it again, freshly signed. Operators: see whose calls were in hand each time a process died.",
            ),
        ),
        Kind(
            "process.silent",
            Branch.OURS,
            503,
            Words("Tiến trình bị treo khi đang xử lý", "The process hung with the call in hand"),
            Words(
                "Tiến trình không phản hồi quá silent_seconds nên bị kết thúc; lời gọi này đang xử lý dở, chưa có gì được chuyển đi.",
                "The process was silent for longer than silent_seconds and was ended; it had this call in hand, and nothing was sent on.",
            ),
            Words(
                "Gửi lại với chữ ký mới. Người vận hành: vết gọi nằm trong nhật ký tiến trình.",
                "Send it again, freshly signed. Operators: the trace stands in the log of the processes.",
            ),
        ),
    ]
)

# --- vault ------------------------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "vault.broken",
            Branch.OURS,
            500,
            Words("Nội dung lưu trữ bị hỏng", "A stored body is damaged"),
            Words(
                "Nội dung {id} không giải mã được bằng khóa {key_id}: đã bị sửa hoặc hỏng.",
                "Body {id} does not open with key {key_id}: it was changed or damaged.",
            ),
            Words(
                "Khôi phục từ bản sao lưu và kiểm tra nhật ký bằng `lgsp audit verify`.",
                "Restore it from a backup and check the log with `lgsp audit verify`.",
            ),
        ),
        Kind(
            "vault.expired",
            Branch.OURS,
            410,
            Words("Nội dung đã hết hạn lưu trữ", "The body is past its retention"),
            Words(
                "Khóa {key_id} đã được hủy lúc {date} theo thời hạn lưu trữ; nội dung {id} không đọc được nữa.",
                "Key {key_id} was destroyed at {date}, when its retention ended; body {id} can no longer be read.",
            ),
            Words(
                "Nhật ký vẫn giữ mã băm của nội dung; hãy hỏi cơ quan gửi nếu cần bản gốc.",
                "The log still holds the digest; ask the sending agency for the original.",
            ),
        ),
        Kind(
            "vault.not-found",
            Branch.OURS,
            404,
            Words("Không có nội dung này", "There is no such body"),
            Words("Kho lưu trữ không có nội dung {id}.", "The vault holds no body {id}."),
            Words("Kiểm tra lại mã giao dịch.", "Check the id of the transfer."),
        ),
    ]
)

# --- audit ------------------------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "audit.inconsistent",
            Branch.OURS,
            500,
            Words("Nhật ký kiểm toán không nhất quán", "The audit log is inconsistent"),
            Words("Trục từ chối ký tiếp nhật ký: {reason}.", "The gateway refuses to go on signing the log: {reason}."),
            Words(
                "Dừng ghi, giữ nguyên dữ liệu, chạy `lgsp audit verify` và báo người phụ trách an toàn thông tin.",
                "Stop, leave the data as they are, run `lgsp audit verify` and tell the security officer.",
            ),
        ),
        Kind(
            "audit.lease-lost",
            Branch.OURS,
            503,
            Words("Tiến trình này không còn giữ quyền ghi", "This process no longer leads"),
            Words(
                "Quyền điều hành '{name}' kỳ {epoch} đã thuộc về tiến trình khác; không có gì được ghi.",
                "The lease '{name}' of epoch {epoch} belongs to another process now; nothing was written.",
            ),
            Words(
                "Không cần làm gì: tiến trình đang giữ quyền sẽ làm tiếp.",
                "Nothing to do: the process that leads goes on.",
            ),
        ),
        Kind(
            "audit.no-origin",
            Branch.THEIRS,
            404,
            Words("Không có nhật ký mang tên này", "There is no log of this origin"),
            Words(
                "Không có nhật ký đã kết thúc nào mang tên {origin}.", "No log that ended bears the origin {origin}."
            ),
            Words("Xem các tên bằng `lgsp audit origins`.", "`lgsp audit origins` lists them."),
        ),
        Kind(
            "audit.no-tile",
            Branch.THEIRS,
            404,
            Words("Không có phần nhật ký này", "There is no such part of the log"),
            Words("Nhật ký kiểm toán không có {path}.", "The audit log has no {path}."),
            Words(
                "Lấy điểm kiểm tra mới nhất và chỉ hỏi các phần nằm trong kích thước của nó.",
                "Fetch the newest checkpoint and ask only for parts within its size.",
            ),
        ),
        Kind(
            "audit.not-logged",
            Branch.THEIRS,
            404,
            Words("Giao dịch chưa có trong nhật ký", "The transfer is not in the log"),
            Words(
                "Nhật ký kiểm toán chưa có mục nào của giao dịch {transfer}.",
                "The audit log has no entry of transfer {transfer} yet.",
            ),
            Words(
                "Thử lại sau một giây; nếu vẫn không có, kiểm tra mã giao dịch.",
                "Try again in a second; if it is still missing, check the id.",
            ),
        ),
        Kind(
            "audit.unwitnessed",
            Branch.OURS,
            503,
            Words("Nhật ký chưa được bên ngoài xác nhận", "Nobody outside vouches for the log"),
            Words(
                "Các mục nhật ký đã chờ quá lâu chữ ký của bên chứng kiến hoặc dấu thời gian; thông điệp này chưa được nhận.",
                "Entries of the log have waited too long for witnesses or a time-stamp; this message was not accepted.",
            ),
            Words(
                "Gửi lại sau thời gian ghi trong Retry-After, với chữ ký mới; người vận hành xem `lgsp doctor`.",
                "Send it again after the time in Retry-After, freshly signed; operators see `lgsp doctor`.",
            ),
        ),
    ]
)

# --- backup and restore -----------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "gateway.restored",
            Branch.OURS,
            503,
            Words("Trục vừa được khôi phục từ bản sao lưu", "The gateway was restored from a backup"),
            Words(
                "Trục chưa nhận giao dịch: người phụ trách phải xem lại những gì có thể đã lùi về trước rồi xác nhận.",
                "It takes no transfers yet: an officer has to look at what may have gone back in time, and confirm.",
            ),
            Words(
                "Gửi lại sau với chữ ký mới, cùng mã thông điệp. Người vận hành: `lgsp restore confirm`.",
                "Send it again later, freshly signed, under the same message id. Operators: `lgsp restore confirm`.",
            ),
        ),
    ]
)

# --- feeds ------------------------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "feed.bad-cursor",
            Branch.THEIRS,
            400,
            Words("Con trỏ nguồn tin không hợp lệ", "The feed cursor is not valid"),
            Words(
                "Con trỏ không dùng được cho nguồn tin {contract}: {reason}.",
                "The cursor cannot be used with feed {contract}: {reason}.",
            ),
            Words(
                "Dùng đúng con trỏ `next` mà trang trước trả về, hoặc đọc lại từ đầu, không kèm con trỏ.",
                "Use the `next` cursor of the page before, unchanged, or read from the start without one.",
            ),
        ),
        Kind(
            "feed.restored",
            Branch.THEIRS,
            410,
            Words("Nguồn tin đã được khôi phục từ bản sao lưu", "The feed was restored from a backup"),
            Words(
                "Nguồn tin {contract} đã lùi về trước con trỏ này: các sự kiện sau vị trí {last} mà bên đọc đã nhận không còn ở đây.",
                "Feed {contract} went back to before this cursor: events after offset {last} that were read are no longer here.",
            ),
            Words(
                "Đọc tiếp từ con trỏ {cursor}; giữ những sự kiện đã nhận, đối chiếu theo `id`.",
                "Go on from the cursor {cursor}; keep what was read, and compare by `id`.",
            ),
        ),
    ]
)

# --- keys -------------------------------------------------------------------------------------------------------------
register(
    [
        Kind(
            "keys.locked",
            Branch.OURS,
            500,
            Words("Khóa được bảo vệ và chưa mở được", "The keys are protected and do not open"),
            Words(
                "Tệp khóa {path} được mã hóa; thiếu tệp bí mật (secret_file), hoặc đó là tệp bí mật khác.",
                "The key file {path} is encrypted; the secret (secret_file) is missing, or is another one.",
            ),
            Words(
                "Đặt secret_file trỏ tới đúng tệp bí mật đã dùng khi bảo vệ khóa; không có nó thì không thể mở lại.",
                "Point secret_file to the secret with which the keys were protected; without it nothing opens them.",
            ),
        ),
        Kind(
            "keys.missing",
            Branch.OURS,
            500,
            Words("Thiếu khóa của trục", "A key of the gateway is missing"),
            Words(
                "Không có cặp khóa và chứng thư `{name}` trong {folder}.",
                "There is no pair of key and certificate `{name}` in {folder}.",
            ),
            Words("Khôi phục thư mục khóa từ bản sao lưu.", "Restore the folder of keys from a backup."),
        ),
        Kind(
            "keys.token",
            Branch.OURS,
            500,
            Words("Thiết bị giữ khóa không đáp ứng", "The token that holds the key does not answer"),
            Words("Thiết bị PKCS#11 {token}: {reason}.", "The PKCS#11 token {token}: {reason}."),
            Words(
                "Kiểm tra thiết bị, pkcs11_module và pkcs11_pin_file; gửi lại sau.",
                "Check the token, pkcs11_module and pkcs11_pin_file; send it again later.",
            ),
        ),
        Kind(
            "keys.no-secret",
            Branch.OURS,
            500,
            Words("Không đọc được tệp bí mật", "The secret cannot be read"),
            Words(
                "Tệp bí mật {path} (secret_file) không dùng được: {reason}.",
                "The secret {path} (secret_file) cannot be used: {reason}.",
            ),
            Words(
                "Tệp phải có ít nhất 32 byte ngẫu nhiên và tài khoản chạy trục đọc được. `credential:…` chỉ có với dịch vụ do systemd chạy: trong cửa sổ lệnh, chỉ tệp ấy bằng LGSP_SECRET_FILE.",
                "It must hold at least 32 random bytes, and the gateway's user must be able to read it. Only what systemd starts has a `credential:…`: in a shell name the file itself in LGSP_SECRET_FILE.",
            ),
        ),
        Kind(
            "authority.root-offline",
            Branch.THEIRS,
            409,
            Words("Khóa gốc không có trên máy này", "The root key is not on this machine"),
            Words(
                "Không có {file}: cấp tổ chức phát hành mới cần khóa gốc.",
                "There is no {file}: a new issuer is signed by the root.",
            ),
            Words(
                "Đưa khóa gốc từ nơi cất giữ về đúng tệp này cho việc đó, rồi cất lại.",
                "Bring the root key from where it is kept to this file for the ceremony, then take it away again.",
            ),
        ),
    ]
)

# --- exchange, doors, registry, delivery add theirs below ----------------------------------------------------------------

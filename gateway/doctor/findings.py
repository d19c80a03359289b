"""What `lgsp doctor` can find: each with a stable code, how grave it is, and words that say what, why it matters, and what to do.

Invariant: all findings stand here and in `file_findings`, in both languages, and are listed in docs/doctor.md. A grave one makes the command end with 1.
"""

from __future__ import annotations

import gateway.doctor.file_findings  # noqa: F401  registers the findings about files and keys
from gateway.doctor.kinds import KINDS, Found, Kind, found, kind

__all__ = ["KINDS", "Found", "Kind", "found"]

# --- certificates ---------------------------------------------------------------------------------------------------------
kind(
    "certificate.ended",
    ("Chứng thư {name} đã hết hạn từ {until}", "The certificate {name} ended at {until}"),
    ("Các bên từ chối kết nối hoặc chữ ký dùng chứng thư này.", "Others refuse connections and signatures that rest on it."),
    ("{next}", "{next}"),
    grave=True,
)  # fmt: skip
kind(
    "certificate.ending",
    ("Chứng thư {name} hết hạn lúc {until}", "The certificate {name} ends at {until}"),
    ("Sau lúc đó các bên sẽ từ chối nó.", "From then on others refuse it."),
    ("{next}", "{next}"),
)  # fmt: skip
kind(
    "certificate.systems-ending",
    ("Chứng thư của hệ thống sắp hoặc đã hết hạn: {keys}", "Certificates of systems that end soon or have ended: {keys}"),
    ("Khi hết hạn, hệ thống đó không gọi được nữa.", "When they end, these systems can call no more."),
    ("Nhắc đầu mối của các hệ thống này xin cấp chứng thư mới.", "Ask the contacts of these systems to enrol new ones."),
)  # fmt: skip

kind(
    "certificate.status-overdue",
    ("Tổ chức chứng thực chưa cho biết, hoặc quá hạn cho biết tình trạng thu hồi: {keys}", "Their authority's word on revocation is overdue, or never came: {keys}"),
    ("Hết thời gian ân hạn, các cửa từ chối những khóa này.", "When its grace has run out, the doors refuse these keys."),
    ("Chạy `lgsp registry refresh` và xem địa chỉ CRL, OCSP nào không trả lời.", "Run `lgsp registry refresh` and see which CRL or OCSP address does not answer."),
    grave=True,
)  # fmt: skip

# --- network --------------------------------------------------------------------------------------------------------------
kind(
    "base.not-https",
    ("public_base không phải là https: {base}", "public_base is not https: {base}"),
    ("Mã truy cập sẽ đi không mã hóa, và chữ ký phủ một địa chỉ không ai nên gọi.", "Tokens would travel in the clear, and signatures would cover an address that nobody should call."),
    ("Đặt public_base là địa chỉ https mà các hệ thống gọi tới.", "Set public_base to the https address that systems call."),
    grave=True,
)  # fmt: skip
kind(
    "base.local",
    ("public_base là {base}, chỉ gọi được từ chính máy này", "public_base is {base}, which only this machine can call"),
    ("Chữ ký phủ public_base: hệ thống gọi bằng địa chỉ khác sẽ bị từ chối.", "Signatures cover it: systems that call by another address are refused."),
    ("Đặt public_base là địa chỉ mà các hệ thống gọi tới.", "Set public_base to the address that systems call."),
    grave=True, sandbox_too=False,
)  # fmt: skip
kind(
    "tls.old",
    ("{where} nhận TLS 1.1 hoặc cũ hơn", "{where} accepts TLS 1.1 or older"),
    ("Các phiên bản này đã bị bẻ và bị bỏ (RFC 8996).", "These versions are broken and withdrawn (RFC 8996)."),
    ("Chỉ cho phép TLS 1.2 và 1.3 trên cổng biên (mẫu trong deploy/).", "Allow TLS 1.2 and 1.3 only at the edge (examples in deploy/)."),
    grave=True,
)  # fmt: skip
kind(
    "listen.sandbox-open",
    ("Phiên bản thử nghiệm lắng nghe tại {host}, ngoài máy này", "The sandbox listens on {host}, beyond this machine"),
    ("Khóa của mọi hệ thống thử nghiệm nằm trong thư mục dữ liệu: ai cũng có thể đóng vai bất kỳ hệ thống nào.", "The keys of all its systems lie in its data folder, for anyone to play any of them."),
    ("Đặt host là 127.0.0.1, hoặc dùng phiên bản production.", "Set host to 127.0.0.1, or run a production instance."),
    grave=True,
)  # fmt: skip
kind(
    "listen.desk-open",
    ("Trang quản trị lắng nghe không mã hóa tại {host}", "The people's listener is open, without TLS, on {host}"),
    ("Trang này không có TLS; người ngoài mạng nội bộ có thể đọc.", "It has no TLS; whoever is on the way can read it."),
    ("Đặt host là 127.0.0.1 và cho cổng biên phục vụ trang này.", "Set host to 127.0.0.1 and let an edge serve it."),
)  # fmt: skip
kind(
    "edge.nobody",
    ("Cổng cho proxy không tin được ai: {reason}", "The listener for proxies trusts nobody: {reason}"),
    ("Trục không khởi động, hoặc mọi lời gọi qua proxy bị từ chối.", "The gateway does not start, or every call through a proxy is refused."),
    ("Ghi dấu vân tay chứng thư của proxy vào edge_proxies.", "List the thumbprints of the proxies' certificates in edge_proxies."),
    grave=True,
)  # fmt: skip
kind(
    "edge.unused",
    ("{setting} được đặt nhưng không có tác dụng", "{setting} is set and has no effect"),
    ("Có lẽ một thiết lập khác bị thiếu; proxy sẽ không được tin.", "Another setting is probably missing; the proxy will not be believed."),
    ("Đặt edge_port hoặc edge_socket, hoặc bỏ thiết lập này.", "Set edge_port or edge_socket, or remove it."),
)  # fmt: skip
kind(
    "edge.folder",
    ("Thư mục của edge_socket không dùng được: {reason}", "The folder of edge_socket will not do: {reason}"),
    ("Người khác có thể đặt socket của họ vào chỗ này, hoặc trục không mở được.", "Others could put a socket of theirs in its place, or the gateway cannot make it."),
    ("Tạo thư mục thuộc tài khoản chạy trục, quyền 750.", "Make a folder that belongs to the gateway's user, mode 750."),
    grave=True,
)  # fmt: skip

# --- settings, database, machine ------------------------------------------------------------------------------------------
kind(
    "settings.origin",
    ("origin vẫn là giá trị thử nghiệm: {origin}", "origin is still the sandbox's: {origin}"),
    ("Tên của nhật ký không đổi được về sau; hai nhật ký không được trùng tên.", "The log's name cannot be changed later, and no two logs may share one."),
    ("Đặt origin trước lần chạy đầu tiên, ví dụ `tinh.example/lgsp`.", "Set origin before the first start, as `tinh.example/lgsp`."),
    grave=True, sandbox_too=False,
)  # fmt: skip
kind(
    "settings.tokens-long",
    ("Mã truy cập sống {seconds} giây", "Access tokens live {seconds} seconds"),
    ("Mã bị lộ dùng được chừng đó lâu.", "A token that leaks is good for that long."),
    ("Đặt token_seconds không quá 3600.", "Set token_seconds to 3600 at most."),
)  # fmt: skip
kind(
    "clock.skew",
    ("Đồng hồ của máy lệch {seconds} giây so với cơ sở dữ liệu", "This machine's clock and the database's differ by {seconds} s"),
    ("Chữ ký chỉ được lệch 5 giây; lời gọi đúng sẽ bị từ chối.", "Signatures bear 5 s of difference; sound calls will be refused."),
    ("Bật đồng bộ thời gian (chrony, systemd-timesyncd) trên cả hai máy.", "Have both machines keep time (chrony, systemd-timesyncd)."),
    grave=True,
)  # fmt: skip
kind(
    "database.unreachable",
    ("Không mở được cơ sở dữ liệu: {reason}", "The database cannot be opened: {reason}"),
    ("Không có nó, trục không nhận gì cả.", "Without it the gateway takes nothing in."),
    ("Kiểm tra địa chỉ `database` và máy chủ cơ sở dữ liệu.", "Check the setting `database` and the server."),
    grave=True,
)  # fmt: skip
kind(
    "database.altered",
    ("Cấu trúc cơ sở dữ liệu đã bị sửa ở {count} chỗ: {objects}", "The schema of the database was altered in {count} places: {objects}"),
    ("Trigger, rule hoặc view có thể làm thông điệp biến mất sau khi đã xác nhận.", "A trigger, a rule or a view can make messages vanish that were acknowledged."),
    ("Giữ bằng chứng, gỡ các đối tượng đó (docs/vi/operating.md), rồi chạy `lgsp audit verify`.", "Keep the evidence, take them away (docs/operating.md), then run `lgsp audit verify`."),
    grave=True,
)  # fmt: skip
kind(
    "registry.altered",
    ("{count} dòng của sổ đăng ký khác với nhật ký: {rows}", "{count} rows of the registry differ from the log: {rows}"),
    ("Ai đó đã sửa thẳng trong cơ sở dữ liệu; các cửa không dùng sổ này.", "Somebody edited the database itself; the doors do not take the registry up."),
    ("Trả từng dòng về như bản sao lưu, hoặc `lgsp registry accept --reason …` (docs/vi/operating.md).", "Put each row back as the backup has it, or `lgsp registry accept --reason …` (docs/operating.md)."),
    grave=True,
)  # fmt: skip
kind(
    "database.older",
    ("Cơ sở dữ liệu ở phiên bản {found}, chương trình này cần {newest}", "The database is at revision {found}, this program needs {newest}"),
    ("Phần còn lại của nó chưa xem được.", "What else it holds cannot be looked at yet."),
    ("Sao lưu (`lgsp backup`), rồi khởi động phiên bản một lần (`lgsp up`): cơ sở dữ liệu được đưa lên trong một giao dịch.", "Back it up (`lgsp backup`), then start the instance once (`lgsp up`), which brings it up to date in one transaction."),
)  # fmt: skip
kind(
    "database.newer",
    ("Cơ sở dữ liệu ở phiên bản {found}, mới hơn phiên bản {newest} của chương trình này", "The database is at revision {found}, newer than this program's {newest}"),
    ("Chương trình này không khởi động trên nó được.", "This program does not start on it."),
    ("Dùng bản mới hơn của chương trình.", "Use the newer release of the program."),
    grave=True,
)  # fmt: skip
kind(
    "database.damaged",
    ("Cơ sở dữ liệu hỏng: {reason}", "The database is damaged: {reason}"),
    ("Có thể đã mất dữ liệu.", "Something may be lost."),
    ("Khôi phục bản sao lưu gần nhất bên cạnh rồi đối chiếu bằng `lgsp audit verify`.", "Restore the last backup beside it and compare with `lgsp audit verify`."),
    grave=True,
)  # fmt: skip
kind(
    "rows.changed",
    ("Dữ liệu của giao dịch đã bị sửa trong cơ sở dữ liệu: {transfers}", "Rows of transfers were changed in the database: {transfers}"),
    ("Người có quyền ghi cơ sở dữ liệu đã đổi nơi nhận hoặc nội dung; trục không gửi và không hiển thị các giao dịch này.", "Somebody who can write there changed receiver or content; the gateway neither sends nor shows these."),
    ("Giữ nguyên dữ liệu, chạy `lgsp audit verify` và báo người phụ trách an toàn thông tin.", "Leave the data as they are, run `lgsp audit verify`, tell the security officer."),
    grave=True,
)  # fmt: skip
kind(
    "log.waiting",
    ("{count} mục nhật ký đang chờ", "{count} entries of the log wait for the keeper"),
    ("Chúng chưa nằm trong điểm kiểm tra nào.", "No checkpoint covers them yet."),
    ("Phiên bản có đang chạy không? `lgsp up` khởi động tiến trình giữ nhật ký.", "Is the instance running? `lgsp up` starts its keeper."),
)  # fmt: skip
kind(
    "log.checkpoint",
    ("Không đọc được điểm kiểm tra nằm ngoài cơ sở dữ liệu: {reason}", "The checkpoint outside the database cannot be read: {reason}"),
    ("Trục ngừng ký nhật ký: không có nó thì không biết có mục nào đã bị lấy đi hay không.", "The keeper signs nothing: without it nothing here tells whether entries were taken back."),
    ("Giữ nguyên dữ liệu, chạy `lgsp audit verify` và báo người phụ trách an toàn thông tin; chép tệp về từ bản sao lưu.", "Leave the data as they are, run `lgsp audit verify`, tell the security officer; put the file back from a backup."),
    grave=True,
)  # fmt: skip
kind(
    "disk.low",
    ("Đĩa còn {free} MiB tại {path}", "{free} MiB are free at {path}"),
    ("Thứ không ghi được vào nhật ký thì không được nhận.", "What cannot be journalled is not accepted."),
    ("Giải phóng chỗ trống.", "Make room."),
)  # fmt: skip
kind(
    "disk.full",
    ("Đĩa chỉ còn {free} MiB tại {path}", "Only {free} MiB are free at {path}"),
    ("Trục sắp ngừng nhận thông điệp.", "The gateway will soon refuse messages."),
    ("Giải phóng chỗ trống ngay.", "Make room now."),
    grave=True,
)  # fmt: skip

# --- the vault's keys ------------------------------------------------------------------------------------------------------
kind(
    "vault.destroyed-back",
    ("{count} tệp của khóa đã hủy vẫn còn: {paths}", "{count} files of keys that were destroyed are there: {paths}"),
    ("Nội dung đã hết hạn lưu có thể đọc lại được từ bản sao lưu cơ sở dữ liệu.", "With a backup of the database, bodies past their retention could be read again."),
    ("Xóa các tệp này; tiến trình giữ nhật ký cũng tự hủy lại khi chạy. Tìm xem chúng từ đâu ra.", "Remove them; a running keeper destroys them again by itself. Find out where they came from."),
    grave=True,
)  # fmt: skip
kind(
    "vault.copies-with-database",
    ("Bản sao khóa tại {folder} nằm cùng cơ sở dữ liệu {database}", "The copies of the vault's keys in {folder} lie with a database: {database}"),
    ("Ai lấy được thư mục đó đọc được mọi nội dung; khóa đã hủy còn sống trong bản sao lưu dài hạn.", "Whoever has that folder reads every body, and destroyed keys live on in what backs it up for long."),
    ("Đặt vault_backup ở nơi riêng, ngoài bản sao lưu của cơ sở dữ liệu.", "Set vault_backup to a place of its own, outside the database's backup."),
    grave=True,
)  # fmt: skip
kind(
    "vault.no-copies",
    ("Khóa của kho lưu trữ không có bản sao", "There is no copy of the vault's keys"),
    ("Mất thư mục khóa là mất mọi nội dung đã lưu.", "If their folder is lost, every body that is kept is lost."),
    ("Đặt vault_backup là một thư mục trên đĩa khác.", "Set vault_backup to a folder on another disk."),
    sandbox_too=False,
)  # fmt: skip
kind(
    "vault.key-missing",
    ("Thiếu khóa mà nội dung đang dùng: {keys}", "Keys that bodies need are missing: {keys}"),
    ("Nội dung niêm phong bằng các khóa này không đọc được, và không phải do hết hạn lưu.", "What they seal cannot be read, and that is not retention's doing."),
    ("Khôi phục chúng từ vault_backup.", "Restore them from vault_backup."),
    grave=True,
)  # fmt: skip
kind(
    "vault.overdue",
    ("{count} khóa đã quá hạn hủy từ {since}", "{count} keys should have been destroyed since {since}"),
    ("Nội dung bị lưu lâu hơn hợp đồng cho phép.", "Bodies are kept for longer than their contracts say."),
    ("Phiên bản có đang chạy không? Xem `lgsp vault expire --dry-run`.", "Is the instance running? See `lgsp vault expire --dry-run`."),
)  # fmt: skip

kind(
    "vault.clock",
    ("Đồng hồ {now} chưa đáng tin, nhật ký mới tới {log}: {count} khóa chờ hủy", "The clock says {now} and is not believed, the log {log}: {count} keys wait"),
    ("Khóa đã hủy không lấy lại được; nếu đồng hồ sai, nội dung còn hạn lưu sẽ mất.", "A destroyed key does not come back; if the clock is wrong, bodies would go before their time."),
    ("Kiểm tra giờ máy (NTP); nếu đúng, chạy `lgsp vault expire --clock-is-right`.", "Check this host's time (NTP); if it is right, run `lgsp vault expire --clock-is-right`."),
    grave=True,
)  # fmt: skip
kind(
    "vault.odd-files",
    ("{count} tệp khóa lạ trong kho khóa: {files}", "{count} odd key files in the vault's store: {files}"),
    ("Tên không phải của khóa, không bao giờ đến hạn hủy, hoặc của ngày chưa tới.", "They bear no key's name, are never due, or are of a day that has not come."),
    ("Tìm xem ai đặt vào đó; đồng hồ từng sai cũng tạo khóa của ngày chưa tới. Đừng xóa khóa mà nội dung đang dùng.", "Find out who put them there; a clock that was wrong makes keys of days to come, too. Remove none that bodies need."),
)  # fmt: skip

# --- who vouches for the log ----------------------------------------------------------------------------------------------
kind(
    "witness.settings",
    ("Thiết lập bên chứng kiến hoặc dấu thời gian không dùng được: {reason}", "Settings of witnesses or time-stamps will not do: {reason}"),
    ("Trục không khởi động được với thiết lập này.", "The gateway does not start with them."),
    ("Sửa thiết lập theo docs/settings.md.", "Mend them as docs/settings.md says."),
    grave=True,
)  # fmt: skip
kind(
    "witness.lacking",
    ("Đã {seconds} giây chưa đủ chữ ký của bên chứng kiến, sau mục {size} ({trouble})", "For {seconds} s the log lacks its quorum of cosignatures, beyond {size} entries ({trouble})"),
    ("Không ai bên ngoài xác nhận phần sau của nhật ký; nếu chính sách là `closed`, các cửa từ chối giao dịch mới.", "Nobody outside vouches for what came since; with the policy `closed` the doors refuse new transfers."),
    ("Liên hệ đơn vị vận hành bên chứng kiến; xem docs/audit-log.md.", "Call those who run the witnesses; see docs/audit-log.md."),
    grave=True,
)  # fmt: skip
kind(
    "witness.failing",
    ("Bên chứng kiến không ký được: {trouble}", "Witnesses that do not cosign: {trouble}"),
    ("Còn đủ số chữ ký cần có, nhưng mất thêm một bên là thiếu.", "There are enough without them for now, and perhaps not with one less."),
    ("Liên hệ đơn vị vận hành; kiểm tra địa chỉ và khóa trong `witnesses`.", "Call those who run them; check address and key in `witnesses`."),
)  # fmt: skip
kind(
    "stamp.overdue",
    ("Dấu thời gian quá hạn {seconds} giây, sau mục {size} ({trouble})", "The time-stamp has been due for {seconds} s, beyond {size} entries ({trouble})"),
    ("Thời điểm của phần sau nhật ký chưa được bên ngoài xác nhận; nếu chính sách là `closed`, các cửa từ chối giao dịch mới.", "Nobody outside says when what came since was there; with the policy `closed` the doors refuse new transfers."),
    ("Chạy `lgsp audit stamp --now` và xem lỗi.", "Run `lgsp audit stamp --now` and see what it says."),
    grave=True,
)  # fmt: skip
kind(
    "stamp.trouble",
    ("Dịch vụ dấu thời gian có vấn đề: {trouble}", "The time-stamp authority is in trouble: {trouble}"),
    ("Đồng hồ lệch hoặc câu trả lời sai làm dấu thời gian mất giá trị.", "With a clock that is off, or answers that prove nothing, stamps are worth little."),
    ("Đối chiếu đồng hồ máy này (chrony) và liên hệ dịch vụ.", "Compare this machine's clock (chrony), and call the authority."),
)  # fmt: skip

# --- who approves ---------------------------------------------------------------------------------------------------------
kind(
    "officers.few",
    ("Chỉ có {count} cán bộ đang giữ nhiệm vụ duyệt", "Only {count} officers are in office"),
    ("Cần hai chữ ký; quyền mới hoặc quyền bị sửa sẽ không có hiệu lực.", "Two must sign: no new or changed grant can come to hold."),
    ("Khai thêm cán bộ trong tài liệu đăng ký (docs/vi/access.md).", "List more officers in the registry document (docs/access.md)."),
)  # fmt: skip
kind(
    "grants.unsigned",
    ("Quyền chưa đủ hai chữ ký: {grants}", "Grants that two officers have not signed: {grants}"),
    ("Mọi lời gọi dựa vào các quyền này đều bị từ chối.", "Every call that rests on them is refused."),
    ("Đọc bằng `lgsp access show`, rồi ký bằng `lgsp access approve`, hoặc thu hồi.", "Read them with `lgsp access show`, then sign with `lgsp access approve`, or revoke them."),
)  # fmt: skip
kind(
    "officers.key-here",
    ("Khóa bí mật của cán bộ nằm trong phiên bản này: {officers}", "Private keys of officers lie in this instance: {officers}"),
    ("Ai chiếm được máy thì tự duyệt được quyền.", "Whoever takes the machine can approve grants."),
    ("Chuyển khóa về máy riêng của từng cán bộ; ký bằng `lgsp access sign`.", "Keep each key on its officer's own machine, and sign with `lgsp access sign`."),
    grave=True, sandbox_too=False,
)  # fmt: skip

# --- backups --------------------------------------------------------------------------------------------------------------
kind(
    "restore.held",
    ("Phiên bản được khôi phục từ bản sao lưu lúc {at}, chưa ai xác nhận", "The instance was restored from a backup at {at}, and nobody has confirmed it"),
    ("Cửa trả 503 `gateway.restored`, không gì trong hàng đợi rời đi, không tệp nào được nhận.", "The doors answer 503 `gateway.restored`, nothing queued leaves, and no dropped file is taken."),
    (
        "Chạy `lgsp restore confirm` để xem những gì có thể đã lùi về trước, sửa lại, rồi `lgsp restore confirm --by AI`.",
        "Run `lgsp restore confirm` to see what may have gone back in time, put that right, then `lgsp restore confirm --by WHO`.",
    ),
    grave=True,
)  # fmt: skip
kind(
    "backup.never",
    ("Chưa từng sao lưu", "There never was a backup"),
    ("Mất máy là mất đăng ký, hàng đợi và nhật ký.", "With the machine, registry, queue and log would be lost."),
    ("Chạy `lgsp backup` theo lịch, và diễn tập khôi phục (docs/vi/operating.md).", "Have a timer run `lgsp backup`, and rehearse a restore (docs/operating.md)."),
    sandbox_too=False,
)  # fmt: skip
kind(
    "backup.old",
    ("Bản sao lưu gần nhất đã {days} ngày (giới hạn {limit})", "The last backup is {days} days old (limit {limit})"),
    ("Khôi phục sẽ mất mọi thứ từ đó, và nhật ký phải mở mới.", "A restore would lose all since then, and the log would begin anew."),
    ("Xem vì sao lịch `lgsp backup` không chạy.", "See why the timer of `lgsp backup` does not run."),
    sandbox_too=False,
)  # fmt: skip
kind(
    "backup.inside",
    ("Bản sao lưu nằm trong thư mục dữ liệu: {paths}", "Backups lie in the data folder: {paths}"),
    ("Mất thư mục là mất cả hai.", "Whoever loses the one loses the other."),
    ("Chuyển sang máy hoặc đĩa khác.", "Keep them on another disk or machine."),
    grave=True,
)  # fmt: skip
kind(
    "backup.modes",
    ("Người khác đọc được bản sao lưu {path}", "Others can read the backup {path}"),
    ("Bản sao lưu chứa khóa và mọi đăng ký.", "It holds keys and the whole registry."),
    ("Đặt quyền 700 cho thư mục, 600 cho tệp.", "chmod 700 for the folder, 600 for its files."),
    grave=True,
)  # fmt: skip
kind(
    "backup.plain-keys",
    ("Bản sao lưu {path} chứa khóa không mã hóa", "The backup {path} holds keys in the clear"),
    ("Ai có bản sao là mạo danh được trục.", "Whoever has it can pass for the gateway."),
    ("Bảo vệ khóa bằng `lgsp keys protect` rồi sao lưu lại; hủy bản cũ.", "Protect the keys with `lgsp keys protect`, back up again, destroy the old one."),
    sandbox_too=False,
)  # fmt: skip
kind(
    "backup.vault-keys",
    ("{path} đã quá hạn hủy", "{path} is past the date by which it was to be destroyed"),
    ("Nội dung hết hạn lưu trữ vẫn mở được bằng các khóa này.", "It opens bodies whose retention has ended."),
    ("Xóa thư mục đó, ở mọi bản sao.", "Destroy that folder, in every copy."),
    grave=True,
)  # fmt: skip

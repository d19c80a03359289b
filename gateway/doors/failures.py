"""Kinds of failure that the doors raise: the channel, the address, the size, the shape of a request."""

from __future__ import annotations

import gateway.doors.http.failures  # noqa: F401  registers the codes of limits
from contracts.base.errors import Branch, Kind, Words, register

register(
    [
        Kind(
            "channel.no-certificate",
            Branch.THEIRS,
            401,
            Words("Thiếu chứng thư của máy khách", "No client certificate"),
            Words(
                "Kết nối TLS không kèm chứng thư của hệ thống gọi.",
                "The TLS connection bears no certificate of the calling system.",
            ),
            Words(
                "Kết nối lại với chứng thư TLS đã được cấp cho hệ thống của bạn (tệp tls.crt và tls.key).",
                "Connect again with the TLS certificate that was issued to your system (files tls.crt and tls.key).",
            ),
        ),
        Kind(
            "channel.certificate-unreadable",
            Branch.THEIRS,
            400,
            Words(
                "Không đọc được chứng thư do cổng biên chuyển tới", "The edge's word on the certificate cannot be read"
            ),
            Words(
                "Cổng biên gửi chứng thư của máy khách không đúng dạng đã thống nhất, hoặc gửi nhiều hơn một lần.",
                "The edge told the client's certificate in another form than agreed, or more than once.",
            ),
            Words(
                "Báo cho người vận hành trục; cổng biên phải đặt lại (không thêm) tiêu đề chứng thư như mẫu trong deploy/.",
                "Tell the operator of the gateway; the edge must set (not add) the field as the examples in deploy/ do.",
            ),
        ),
        Kind(
            "channel.unknown-system",
            Branch.POLICY,
            403,
            Words("Hệ thống chưa được đăng ký", "System not registered"),
            Words(
                "Chứng thư của kết nối (dấu vân tay {thumbprint}) không thuộc hệ thống nào đã đăng ký và còn hiệu lực.",
                "The connection's certificate (thumbprint {thumbprint}) belongs to no registered system in force.",
            ),
            Words(
                "Hỏi cơ quan vận hành trục liên thông để đăng ký chứng thư này, hoặc dùng chứng thư mới nhất của bạn.",
                "Ask the operator of the gateway to register this certificate, or use your newest one.",
            ),
        ),
        Kind(
            "channel.revoked",
            Branch.POLICY,
            403,
            Words("Chứng thư của kết nối đã bị thu hồi", "The connection's certificate was revoked"),
            Words(
                "Chứng thư {key} của kết nối đã bị thu hồi lúc {since} ({reason}).",
                "The connection's certificate {key} was revoked at {since} ({reason}).",
            ),
            Words(
                "Tạo khóa mới, xin cấp và đăng ký chứng thư mới; nếu bạn không yêu cầu thu hồi, gọi ngay cho cơ quan vận hành.",
                "Make a new key; have a certificate issued for it and registered. If you did not ask for this, call the operator at once.",
            ),
        ),
        Kind(
            "channel.status-unknown",
            Branch.POLICY,
            403,
            Words("Không rõ chứng thư còn hiệu lực không", "It is not known whether the certificate was revoked"),
            Words(
                "Thông tin thu hồi mới nhất của tổ chức cấp chứng thư {key} đã hết hạn (kể cả thời gian ân hạn) từ {since}; vì an toàn, kết nối bị từ chối.",
                "The authority's last word on the certificate {key} ran out, grace included, at {since}; for safety the connection is refused.",
            ),
            Words(
                "Báo cho cơ quan vận hành: địa chỉ CRL hoặc OCSP của tổ chức chứng thực không trả lời.",
                "Tell the operator: the authority's CRL or OCSP address does not answer.",
            ),
        ),
        Kind(
            "channel.expired",
            Branch.POLICY,
            403,
            Words("Chứng thư của kết nối ngoài thời hạn", "The connection's certificate is out of its time"),
            Words(
                "Chứng thư {key} của kết nối có hiệu lực từ {valid_from} đến {valid_until}, không gồm thời điểm này.",
                "The connection's certificate {key} is valid from {valid_from} until {valid_until}, which does not include now.",
            ),
            Words(
                "Xin cấp và đăng ký chứng thư mới, rồi kết nối lại.",
                "Have a new certificate issued and registered, then connect with it.",
            ),
        ),
        Kind(
            "channel.mismatch",
            Branch.POLICY,
            403,
            Words(
                "Chứng thư, mã truy cập và chữ ký không cùng một hệ thống",
                "Certificate, token and signature name different systems",
            ),
            Words(
                "Chứng thư TLS thuộc {channel}, còn {other_kind} thuộc {other}.",
                "The TLS certificate belongs to {channel}, but the {other_kind} belongs to {other}.",
            ),
            Words(
                "Dùng khóa, mã truy cập và chứng thư của cùng một hệ thống.",
                "Use key, token and certificate of one and the same system.",
            ),
        ),
        Kind(
            "file.no-rule",
            Branch.THEIRS,
            422,
            Words("Không rõ tệp này là gì", "It is not known what the file is"),
            Words(
                "Tên tệp {name} không khớp mẫu nào đã đăng ký cho thư mục: {known}.",
                "The name {name} fits none of the patterns registered for the folder: {known}.",
            ),
            Words("Đặt tên theo mẫu đã đăng ký rồi thả lại.", "Name it by a registered pattern and drop it again."),
        ),
        Kind(
            "file.no-operation",
            Branch.OURS,
            503,
            Words("Thư mục đăng ký sai hợp đồng", "The folder is registered for what is not in force"),
            Words(
                "Hợp đồng {contract} đang áp dụng không nhận tệp cho thao tác {operation}.",
                "The contract {contract} in force takes no files for {operation}.",
            ),
            Words(
                "Cơ quan vận hành cần sửa đăng ký; hãy báo cho họ.",
                "The operator must mend the registration; please tell them.",
            ),
        ),
        Kind(
            "file.too-large",
            Branch.THEIRS,
            413,
            Words("Tệp quá lớn", "The file is too large"),
            Words("Tệp dài {size} byte, giới hạn {limit}.", "The file has {size} bytes, the limit is {limit}."),
            Words("Chia thành nhiều tệp nhỏ hơn.", "Split it into smaller files."),
        ),
        Kind(
            "file.unreadable",
            Branch.THEIRS,
            422,
            Words("Không đọc được tệp", "The file cannot be read"),
            Words("Không mở được tệp {name} trong thư mục.", "The file {name} in the folder cannot be opened."),
            Words("Kiểm tra quyền đọc rồi thả lại.", "Look at its permissions and drop it again."),
        ),
        Kind(
            "file.quarantined",
            Branch.THEIRS,
            422,
            Words("Tệp bị cách ly", "The file is in quarantine"),
            Words(
                "Tiến trình của cổng đã dừng {deaths} lần khi đang xử lý tệp {name}; tệp được cách ly và không được đọc nữa.",
                "The gateway's process ended {deaths} times while it worked on the file {name}; it is set aside and read no more.",
            ),
            Words(
                "Lập lại tệp từ dữ liệu gốc rồi thả tệp mới; nếu tệp đúng, hãy báo cơ quan vận hành cho đọc lại tệp này.",
                "Make the file anew from its data and drop the new one; if this one is sound, ask the operator to release it.",
            ),
        ),
        Kind(
            "address.unknown",
            Branch.THEIRS,
            404,
            Words("Không có địa chỉ này", "No such address"),
            Words("Không có gì ở {method} {path}.", "There is nothing at {method} {path}."),
            Words("Xem danh mục các hợp đồng tại {catalogue}.", "See the catalogue of contracts at {catalogue}."),
        ),
        Kind(
            "address.method",
            Branch.THEIRS,
            405,
            Words("Sai phương thức", "Wrong method"),
            Words(
                "{path} không nhận {method}, mà nhận {allowed}.", "{path} does not take {method}, it takes {allowed}."
            ),
            Words("Gọi lại bằng phương thức đúng.", "Call again with the right method."),
        ),
        Kind(
            "body.too-large",
            Branch.THEIRS,
            413,
            Words("Thân thư quá lớn", "Body too large"),
            Words("Thân thư vượt giới hạn {limit} byte.", "The body is over the limit of {limit} bytes."),
            Words(
                "Chia nhỏ thông điệp, hoặc gửi tệp lớn bằng tham chiếu và mã băm.",
                "Split the message, or send large files by reference and digest.",
            ),
        ),
        Kind(
            "body.too-slow",
            Branch.THEIRS,
            408,
            Words("Thân thư đến quá chậm", "Body too slow"),
            Words(
                "Sau {seconds} giây thân thư vẫn chưa đến đủ.",
                "After {seconds} seconds the body had not arrived in full.",
            ),
            Words(
                "Kiểm tra đường truyền rồi gửi lại cùng mã thông điệp.",
                "Check the line, then send again with the same message id.",
            ),
        ),
        Kind(
            "body.unexpected",
            Branch.THEIRS,
            400,
            Words("Thao tác này không nhận thân thư", "This operation takes no body"),
            Words("{method} {path} không nhận thân thư.", "{method} {path} takes no body."),
            Words("Bỏ thân thư; tham số đặt trong địa chỉ.", "Leave the body out; parameters go into the address."),
        ),
        Kind(
            "query.unexpected",
            Branch.THEIRS,
            400,
            Words("Thao tác này không nhận tham số trong địa chỉ", "This operation takes no query string"),
            Words("POST {path} không nhận tham số sau dấu «?».", "POST {path} takes nothing after the «?»."),
            Words(
                "Đặt mọi dữ liệu trong thân thư; bỏ phần sau dấu «?».",
                "Put everything into the body; leave the query string out.",
            ),
        ),
        Kind(
            "body.media-type",
            Branch.THEIRS,
            415,
            Words("Sai kiểu nội dung", "Wrong media type"),
            Words("Nhận được {got}; cần {expected}.", "Got {got}; {expected} is expected."),
            Words("Đặt Content-Type đúng rồi ký và gửi lại.", "Set the right Content-Type, then sign and send again."),
        ),
        Kind(
            "body.encoded",
            Branch.THEIRS,
            415,
            Words("Không nhận thân thư nén", "Encoded bodies are not taken"),
            Words("Content-Encoding: {got} không được nhận.", "Content-Encoding: {got} is not taken."),
            Words("Gửi thân thư không nén.", "Send the body as it is."),
        ),
        Kind(
            "http.malformed",
            Branch.THEIRS,
            400,
            Words("Yêu cầu HTTP không đúng dạng", "Not a request of HTTP/1.1"),
            Words("Yêu cầu không đúng RFC 9112: {why}.", "The request is not as RFC 9112 has it: {why}."),
            Words(
                "Dùng một thư viện HTTP/1.1 thông dụng; kiểm tra thiết bị trung gian trên đường truyền, rồi gửi lại trên kết nối mới.",
                "Use a common library of HTTP/1.1; look at what stands in between, and send again on a new connection.",
            ),
        ),
        Kind(
            "http.transfer-coding",
            Branch.THEIRS,
            501,
            Words("Không nhận cách mã hóa đường truyền này", "Transfer coding not known"),
            Words("Chỉ nhận Transfer-Encoding: chunked.", "Transfer-Encoding: chunked is the only one that is taken."),
            Words("Gửi thân thư không nén.", "Send the body as it is."),
        ),
        Kind(
            "http.head-too-large",
            Branch.THEIRS,
            431,
            Words("Phần đầu yêu cầu quá lớn", "Head of the request too large"),
            Words(
                "Dòng yêu cầu và các tiêu đề vượt giới hạn {limit} byte.",
                "The request line with its header fields is over the limit of {limit} bytes.",
            ),
            Words("Bỏ các tiêu đề thừa, rút ngắn địa chỉ.", "Leave out what is not needed; shorten the address."),
        ),
        Kind(
            "request.header-twice",
            Branch.THEIRS,
            400,
            Words("Tiêu đề lặp lại", "Header given twice"),
            Words("Tiêu đề {header} xuất hiện nhiều lần.", "Header {header} appears more than once."),
            Words("Gửi mỗi tiêu đề này đúng một lần.", "Send each of these headers exactly once."),
        ),
        Kind(
            "request.too-many-headers",
            Branch.THEIRS,
            431,
            Words("Quá nhiều tiêu đề", "Too many headers"),
            Words(
                "Yêu cầu có {found} tiêu đề, giới hạn {limit}.",
                "The request has {found} header fields, the limit is {limit}.",
            ),
            Words("Bỏ các tiêu đề thừa.", "Leave out what is not needed."),
        ),
        Kind(
            "request.no-token",
            Branch.THEIRS,
            401,
            Words("Thiếu mã truy cập", "No access token"),
            Words("Không có tiêu đề Authorization: Bearer.", "There is no Authorization: Bearer header."),
            Words("Lấy mã truy cập tại {endpoint} rồi gọi lại.", "Fetch a token at {endpoint}, then call again."),
        ),
        Kind(
            "request.no-message-id",
            Branch.THEIRS,
            400,
            Words("Thiếu mã thông điệp", "No message id"),
            Words(
                "Thao tác {operation} cần {header} để không ghi trùng.",
                "Operation {operation} needs {header}, so that nothing is taken twice.",
            ),
            Words(
                "Thêm một mã duy nhất cho mỗi thông điệp (ví dụ UUID) và dùng lại mã đó khi gửi lại.",
                "Add an id of its own to each message (such as a UUID), and use the same one when you send it again.",
            ),
        ),
        Kind(
            "soap.unknown-body",
            Branch.THEIRS,
            400,
            Words("Nội dung Body không thuộc thao tác nào", "The Body's element belongs to no operation"),
            Words(
                "Phần tử {element} trong Body không thuộc định dạng {format} của hợp đồng {contract}; cần {expected}.",
                "Element {element} in the Body is not in format {format} of contract {contract}; expected {expected}.",
            ),
            Words("Xem WSDL tại {wsdl}.", "See the WSDL at {wsdl}."),
        ),
        Kind(
            "soap.action",
            Branch.THEIRS,
            400,
            Words("SOAPAction không khớp", "SOAPAction does not agree"),
            Words(
                "SOAPAction là {got}, nhưng wsa:Action đã ký là {signed}.",
                "SOAPAction is {got}, but the signed wsa:Action is {signed}.",
            ),
            Words("Đặt hai giá trị giống nhau.", "Give both the same value."),
        ),
        Kind(
            "soap.not-for-us",
            Branch.THEIRS,
            400,
            Words("Thư không gửi cho địa chỉ này", "Not addressed to this service"),
            Words("wsa:To là {got}; địa chỉ này là {expected}.", "wsa:To is {got}; this address is {expected}."),
            Words(
                "Đặt wsa:To đúng địa chỉ trong WSDL, hoặc bỏ đi.",
                "Set wsa:To to the address in the WSDL, or leave it out.",
            ),
        ),
        Kind(
            "soap.reply-elsewhere",
            Branch.THEIRS,
            400,
            Words("Câu trả lời không gửi tới nơi khác", "Answers go nowhere else"),
            Words(
                "{header} ghi địa chỉ khác; cần {expected}.", "{header} names another address; {expected} is expected."
            ),
            Words(
                "Bỏ tiêu đề đó, hoặc ghi địa chỉ anonymous: câu trả lời về trên chính kết nối này.",
                "Leave the header out, or name the anonymous address: the answer comes back on the same connection.",
            ),
        ),
        Kind(
            "gateway.fault",
            Branch.OURS,
            500,
            Words("Lỗi nội bộ của trục", "A fault of the gateway"),
            Words(
                "Trục gặp lỗi nội bộ khi xử lý yêu cầu {transfer}.",
                "The gateway met a fault of its own at request {transfer}.",
            ),
            Words(
                "Báo cho người vận hành trục, kèm mã yêu cầu này.",
                "Tell the gateway's operators, with this request's id.",
            ),
        ),
    ]
)

"""The failures that this room can raise, with their words in both languages.

Import this module before raising one; `contracts/__init__` stays empty so that `contracts.base` imports nothing.
"""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register

_SEE_FINDINGS = Words(
    "Sửa những chỗ nêu trong findings rồi gửi lại; mẫu đúng có ở trang hợp đồng.",
    "Mend the places named in the findings and send it again; right samples are on the contract's page.",
)

register(
    [
        Kind(
            "contract.invalid",
            Branch.THEIRS,
            422,
            Words("Hợp đồng dữ liệu không hợp lệ", "The contract cannot be used"),
            Words(
                "Thư mục hợp đồng có {count} lỗi; mỗi lỗi nêu tệp và dòng.",
                "The contract folder has {count} faults; each names file and line.",
            ),
            Words(
                "Sửa từng chỗ rồi chạy lại `lgsp contract check`.",
                "Mend each place, then run `lgsp contract check` again.",
            ),
        ),
        Kind(
            "message.invalid",
            Branch.THEIRS,
            422,
            Words("Bản tin không đúng hợp đồng", "The message does not keep to its contract"),
            Words(
                "Bản tin {message} của {contract} (dạng {format}) có {count} chỗ sai.",
                "The message {message} of {contract} (format {format}) is wrong in {count} place(s).",
            ),
            _SEE_FINDINGS,
        ),
        Kind(
            "message.not-json",
            Branch.THEIRS,
            400,
            Words("Nội dung không phải JSON", "The body is not JSON"),
            Words(
                "Không đọc được JSON: {why} (dòng {line}, cột {column}).",
                "The JSON cannot be read: {why} (line {line}, column {column}).",
            ),
            Words(
                "Gửi JSON đúng RFC 8259, mã UTF-8, không trùng tên trường, không NaN.",
                "Send JSON as in RFC 8259, in UTF-8, no field twice, no NaN.",
            ),
        ),
        Kind(
            "message.not-query",
            Branch.THEIRS,
            400,
            Words("Tham số truy vấn không đọc được", "The query string cannot be read"),
            Words("Tham số truy vấn sai: {why}.", "The query string is wrong: {why}."),
            Words("Mỗi tham số một lần, mã phần trăm theo UTF-8.", "Each parameter once, percent-encoded UTF-8."),
        ),
        Kind(
            "message.wrong-media",
            Branch.THEIRS,
            415,
            Words("Sai kiểu dữ liệu", "Wrong kind of body"),
            Words(
                "Dạng {format} của {contract} nhận {expected}, không nhận {got}.",
                "Format {format} of {contract} takes {expected}, not {got}.",
            ),
            Words(
                "Gửi đúng kiểu đã đăng ký cho hệ thống: JSON theo REST, XML theo SOAP (/soap/{contract}).",
                "Send the kind that is registered for the system: JSON by REST, XML by SOAP (/soap/{contract}).",
            ),
        ),
        Kind(
            "message.wrong-root",
            Branch.THEIRS,
            422,
            Words("Sai phần tử gốc", "Wrong root element"),
            Words("Phần tử gốc là {got}, cần {expected}.", "The root element is {got}, {expected} is needed."),
            Words(
                "Kiểm tra tên phần tử và không gian tên (namespace), gồm cả phiên bản.",
                "Check the name of the element and its namespace, the version included.",
            ),
        ),
        Kind(
            "message.not-expressible",
            Branch.THEIRS,
            422,
            Words("Bên nhận không biểu diễn được giá trị", "The receiver's format cannot carry the value"),
            Words(
                "Dạng {format} của bên nhận không biểu diễn được {count} giá trị trong bản tin {message}.",
                "The receiver's format {format} cannot carry {count} values of the message {message}.",
            ),
            _SEE_FINDINGS,
        ),
        Kind(
            "xml.malformed",
            Branch.THEIRS,
            400,
            Words("XML không đúng cú pháp", "The XML is not well-formed"),
            Words("Không đọc được XML: {why} (dòng {line}).", "The XML cannot be read: {why} (line {line})."),
            Words("Gửi XML 1.0 đúng cú pháp, mã UTF-8.", "Send well-formed XML 1.0 in UTF-8."),
        ),
        Kind(
            "xml.doctype",
            Branch.THEIRS,
            400,
            Words("XML có DOCTYPE", "The XML has a DOCTYPE"),
            Words(
                "XML khai báo DOCTYPE; cổng không nhận DTD và thực thể.",
                "The XML declares a DOCTYPE; the gateway takes neither DTDs nor entities.",
            ),
            Words("Bỏ DOCTYPE và mọi thực thể tự khai báo.", "Remove the DOCTYPE and all declared entities."),
        ),
        Kind(
            "xml.instruction",
            Branch.THEIRS,
            400,
            Words("XML có chỉ thị xử lý", "The XML has a processing instruction"),
            Words(
                "XML có chỉ thị xử lý <?{target}?> (dòng {line}).",
                "The XML has a processing instruction <?{target}?> (line {line}).",
            ),
            Words(
                "Bỏ mọi chỉ thị xử lý, gồm cả xml-stylesheet.",
                "Remove every processing instruction, xml-stylesheet too.",
            ),
        ),
        Kind(
            "xml.too-large",
            Branch.THEIRS,
            413,
            Words("XML quá lớn", "The XML is too large"),
            Words("XML dài {size} byte, giới hạn {limit}.", "The XML has {size} bytes, the limit is {limit}."),
            Words(
                "Tách nhỏ bản tin, hoặc gửi tệp lớn bằng địa chỉ và giá trị băm.",
                "Split the message, or send large files by address and digest.",
            ),
        ),
        Kind(
            "xml.too-many-tags",
            Branch.THEIRS,
            413,
            Words("XML có quá nhiều thẻ", "The XML has too many tags"),
            Words("XML có hơn {limit} thẻ.", "The XML has more than {limit} tags."),
            Words("Tách nhỏ bản tin.", "Split the message."),
        ),
        Kind(
            "xml.too-many-namespaces",
            Branch.THEIRS,
            400,
            Words("XML khai báo quá nhiều không gian tên", "The XML declares too many namespaces"),
            Words(
                "Tại một chỗ trong XML có hơn {limit} khai báo không gian tên còn hiệu lực.",
                "At one place in the XML more than {limit} namespace declarations are in force.",
            ),
            Words("Bỏ các khai báo không dùng.", "Leave out the declarations that are not used."),
        ),
        Kind(
            "xml.too-deep",
            Branch.THEIRS,
            400,
            Words("XML lồng quá sâu", "The XML is nested too deep"),
            Words("XML lồng sâu quá {limit} cấp.", "The XML is nested deeper than {limit} levels."),
            Words("Giảm số cấp lồng nhau.", "Nest less deep."),
        ),
        Kind(
            "soap.malformed",
            Branch.THEIRS,
            400,
            Words("Không phải phong bì SOAP", "Not a SOAP envelope"),
            Words("Phong bì SOAP sai: {why}.", "The SOAP envelope is wrong: {why}."),
            Words(
                "Gửi soap:Envelope với nhiều nhất một Header và đúng một Body có một phần tử con.",
                "Send a soap:Envelope with at most one Header and one Body that has one child.",
            ),
        ),
        Kind(
            "soap.version",
            Branch.THEIRS,
            400,
            Words("Phiên bản SOAP không khớp", "The SOAP version does not agree"),
            Words(
                "Phong bì thuộc {got}; kiểu nội dung đã khai là của SOAP {number} ({expected}).",
                "The envelope is of {got}; the declared media type is that of SOAP {number} ({expected}).",
            ),
            Words(
                "Gửi SOAP 1.1 với text/xml, hoặc SOAP 1.2 với application/soap+xml.",
                "Send SOAP 1.1 as text/xml, or SOAP 1.2 as application/soap+xml.",
            ),
        ),
        Kind(
            "soap.not-understood",
            Branch.THEIRS,
            400,
            Words("Tiêu đề bắt buộc hiểu nhưng cổng không biết", "A header block that must be understood is not known"),
            Words(
                "Khối tiêu đề {block} có mustUnderstand; cổng không biết nó.",
                "The header block {block} has mustUnderstand; it is not known here.",
            ),
            Words("Bỏ khối tiêu đề, hoặc bỏ mustUnderstand của nó.", "Leave the block out, or its mustUnderstand."),
        ),
    ]
)

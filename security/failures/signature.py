"""Signatures of HTTP messages and of SOAP envelopes."""

from __future__ import annotations

from contracts.base.errors import Branch
from security.failures.words import CLOCK, SIGN_ANEW, kind, theirs

SIGNATURE = (
    theirs(
        "signature.missing",
        401,
        ("Thiếu chữ ký", "No signature"),
        (
            "Thông điệp không có chữ ký của hệ thống gửi ({where}).",
            "The message carries no signature of its sender ({where}).",
        ),
        SIGN_ANEW,
    ),
    theirs(
        "signature.several",
        400,
        ("Nhiều hơn một chữ ký", "More than one signature"),
        (
            "Chỉ được có đúng một chữ ký, nhưng thấy {found} ({where}).",
            "Exactly one signature is allowed, {found} were found ({where}).",
        ),
        ("Bỏ các chữ ký thừa; mỗi thông điệp một chữ ký.", "Remove the others: one signature to a message."),
    ),
    theirs(
        "signature.malformed",
        400,
        ("Chữ ký sai cấu trúc", "Malformed signature"),
        ("{where} không đúng cấu trúc quy định: {rule}.", "{where} does not have the prescribed form: {rule}."),
        (
            "Sửa phần được nêu theo trang «Giao thức» rồi ký lại.",
            "Correct the part named, as the wire page describes, and sign again.",
        ),
    ),
    theirs(
        "signature.parameter",
        400,
        ("Tham số chữ ký không hợp lệ", "Unacceptable signature parameter"),
        (
            "Tham số {parameter} của chữ ký thiếu hoặc không được phép: {rule}.",
            "The signature's parameter {parameter} is missing or not allowed: {rule}.",
        ),
        (
            "Dùng đúng các tham số created, expires, nonce, keyid, tag (và alg nếu cần).",
            "Use exactly created, expires, nonce, keyid and tag (and alg, if you wish).",
        ),
    ),
    theirs(
        "signature.nonce",
        400,
        ("Nonce không hợp lệ", "Unacceptable nonce"),
        (
            "Tham số nonce phải là base64url của ít nhất 16 byte ngẫu nhiên (22 đến 128 ký tự).",
            "The parameter nonce must be the base64url of 16 random bytes or more (22 to 128 characters).",
        ),
        (
            "Sinh nonce mới cho từng thông điệp bằng bộ sinh số ngẫu nhiên an toàn.",
            "Draw a new nonce for each message from a secure random generator.",
        ),
    ),
    theirs(
        "signature.component-unknown",
        400,
        ("Thành phần được ký không nằm trong quy định", "Unknown signed component"),
        (
            "Chữ ký phủ thành phần {component}, thành phần này không có trong quy định.",
            "The signature covers {component}, which the profile does not know.",
        ),
        ("Chỉ ký các thành phần nêu trong trang «Giao thức».", "Cover only the components named on the wire page."),
    ),
    theirs(
        "signature.component-absent",
        400,
        ("Thành phần được ký không có trong thông điệp", "Signed component is not in the message"),
        (
            "Chữ ký phủ {component}, nhưng thông điệp nhận được không có phần này.",
            "The signature covers {component}, but the message as received does not have it.",
        ),
        (
            "Kiểm tra máy trung gian có bỏ tiêu đề không; gửi đủ mọi phần đã ký.",
            "See whether something on the way removes headers; send every part that was signed.",
        ),
    ),
    theirs(
        "signature.not-covering",
        401,
        ("Chữ ký không phủ hết thông điệp", "The signature does not cover the message"),
        (
            "Chữ ký không phủ: {missing}. Phần không được ký có thể bị sửa trên đường.",
            "The signature does not cover: {missing}. What is not signed can be changed on the way.",
        ),
        (
            "Thêm các phần được nêu vào danh sách ký rồi ký lại.",
            "Add the parts named to what you sign, and sign again.",
        ),
    ),
    theirs(
        "signature.digest-mismatch",
        400,
        ("Nội dung không khớp với giá trị băm", "Content does not match its digest"),
        (
            "{part} nhận được không khớp với giá trị băm đã ký: nội dung đã bị đổi sau khi ký.",
            "{part} as received does not match the signed digest: it was changed after signing.",
        ),
        (
            "Tính giá trị băm trên đúng chuỗi byte được gửi, và kiểm tra máy trung gian có sửa nội dung không.",
            "Compute the digest over the very bytes that are sent, and see whether something on the way rewrites them.",
        ),
    ),
    theirs(
        "signature.lifetime",
        400,
        ("Chữ ký có hiệu lực quá dài", "The signature lives too long"),
        (
            "Thời hạn chữ ký là {lifetime} giây; cho phép nhiều nhất {allowed} giây và phải lớn hơn 0.",
            "The signature lives {lifetime} s; it must be more than 0 and at most {allowed} s.",
        ),
        ("Đặt thời điểm hết hạn gần thời điểm ký hơn.", "Set the expiry nearer to the time of signing."),
    ),
    theirs(
        "signature.expired",
        401,
        ("Chữ ký đã hết hạn", "The signature has expired"),
        (
            "Chữ ký hết hạn cách đây {late} giây; ký lúc {created}, đồng hồ máy nhận là {now} (lệch {skew} giây).",
            "The signature expired {late} s ago; signed at {created}, the receiver's clock says {now} (a difference of {skew} s).",
        ),
        CLOCK,
    ),
    theirs(
        "signature.from-future",
        401,
        ("Chữ ký đến từ tương lai", "The signature comes from the future"),
        (
            "Thời điểm ký {created} đi trước đồng hồ máy nhận {now} là {skew} giây; cho phép nhiều nhất {allowed} giây.",
            "The time of signing {created} is {skew} s ahead of the receiver's clock {now}; at most {allowed} s are allowed.",
        ),
        CLOCK,
    ),
    theirs(
        "signature.unknown-key",
        401,
        ("Không biết khóa ký", "Unknown signing key"),
        (
            "Khóa ký {key} chưa được đăng ký hoặc đã bị thu hồi.",
            "The signing key {key} is not registered, or was revoked.",
        ),
        (
            "Đăng ký chứng thư ký với Trung tâm, hoặc dùng khóa đang còn hiệu lực.",
            "Register the signing certificate with the centre, or use the key that is in force.",
        ),
    ),
    theirs(
        "signature.key-expired",
        401,
        ("Chứng thư ký ngoài thời hạn", "The signing certificate is out of its time"),
        (
            "Chứng thư của khóa {key} có hiệu lực từ {valid_from} đến {valid_until}, không gồm thời điểm này.",
            "The certificate of key {key} is valid from {valid_from} until {valid_until}, which does not include now.",
        ),
        ("Xin cấp và đăng ký chứng thư mới.", "Have a new certificate issued and registered."),
    ),
    kind(
        Branch.POLICY,
        "signature.key-revoked",
        403,
        ("Chứng thư ký đã bị thu hồi", "The signing certificate was revoked"),
        ("Khóa {key} đã bị thu hồi lúc {since} ({reason}).", "The key {key} was revoked at {since} ({reason})."),
        (
            "Tạo khóa mới, xin cấp và đăng ký chứng thư mới.",
            "Make a new key; have a certificate issued for it and registered.",
        ),
    ),
    kind(
        Branch.POLICY,
        "signature.key-status-unknown",
        403,
        ("Không rõ chứng thư ký còn hiệu lực không", "It is not known whether the signing certificate was revoked"),
        (
            "Thông tin thu hồi mới nhất của tổ chức cấp chứng thư cho khóa {key} đã hết hạn (kể cả thời gian ân hạn) từ {since}; vì an toàn, chữ ký bị từ chối.",
            "The authority's last word on the certificate of key {key} ran out, grace included, at {since}; for safety its signatures are refused.",
        ),
        (
            "Báo cho cơ quan vận hành: địa chỉ CRL hoặc OCSP của tổ chức chứng thực không trả lời.",
            "Tell the operator: the authority's CRL or OCSP address does not answer.",
        ),
    ),
    theirs(
        "signature.algorithm",
        400,
        ("Thuật toán không được chấp nhận", "Algorithm not accepted"),
        (
            "{where} dùng thuật toán {algorithm}; ở đây cần {expected}.",
            "{where} uses the algorithm {algorithm}; {expected} is needed here.",
        ),
        ("Ký lại bằng thuật toán nêu trên.", "Sign again with the algorithm named."),
    ),
    theirs(
        "signature.wrong",
        401,
        ("Chữ ký sai", "The signature is wrong"),
        (
            "Chữ ký không do khóa {key} tạo ra trên nội dung này.",
            "The signature was not made by key {key} over this content.",
        ),
        (
            "Kiểm tra khóa riêng có khớp chứng thư đã đăng ký không, địa chỉ công bố và chuỗi byte được ký.",
            "Check that the private key belongs to the registered certificate, the public address, and the very bytes signed.",
        ),
    ),
    theirs(
        "signature.wrapped",
        400,
        ("Phần được ký không nằm đúng chỗ", "A signed part stands in the wrong place"),
        (
            "Chữ ký trỏ tới #{id}, nhưng phần tử đó nằm tại {found}, không phải chỗ quy định.",
            "The signature points to #{id}, but that element stands at {found}, not at a prescribed place.",
        ),
        (
            "Ký đúng các phần tử tại Envelope/Body, Envelope/Header/* và trong wsse:Security; nếu hệ thống của bạn không gửi như vậy, "
            "thông điệp đã bị dựng lại trên đường.",
            "Sign the elements at Envelope/Body, Envelope/Header/* and in wsse:Security; if your system did not send it so, "
            "the message was rearranged on the way.",
        ),
    ),
    theirs(
        "signature.duplicate-id",
        400,
        ("Trùng định danh phần tử", "An element Id occurs twice"),
        (
            "Định danh {id} xuất hiện nhiều lần trong tài liệu XML.",
            "The Id {id} occurs more than once in the XML document.",
        ),
        (
            "Đặt mỗi wsu:Id, Id, ID, xml:id một giá trị duy nhất.",
            "Give each wsu:Id, Id, ID and xml:id a value of its own.",
        ),
    ),
    theirs(
        "signature.header-missing",
        400,
        ("Thiếu tiêu đề SOAP", "SOAP header missing"),
        ("Thiếu {missing} trong soap:Header.", "{missing} is missing in soap:Header."),
        ("Thêm tiêu đề này, đặt wsu:Id và ký nó.", "Add this header, give it a wsu:Id and sign it."),
    ),
)

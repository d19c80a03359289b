"""Every failure that this room can raise, with its words in Vietnamese and English.

Each says what is wrong, where, why it matters, and what to do next. Facts that stand in both texts are names and
numbers of the wire (`Signature-Input`, `ds:Reference`), never prose, so that one fact fits both languages.
Invariant: no code is raised in `security/` that does not stand here; importing `security` registers them all.
"""

from __future__ import annotations

from contracts.base.errors import Branch, Kind, Words, register


def _kind(branch: Branch, code: str, status: int, title: tuple[str, str], what: tuple[str, str], after: tuple[str, str]) -> Kind:
    return Kind(code, branch, status, Words(*title), Words(*what), Words(*after))


def _theirs(code: str, status: int, title: tuple[str, str], what: tuple[str, str], after: tuple[str, str]) -> Kind:
    return _kind(Branch.THEIRS, code, status, title, what, after)


_SIGN_ANEW = (
    "Ký lại thông điệp theo trang «Giao thức» rồi gửi lại.",
    "Sign the message again as the wire page describes, and send it again.",
)
_CLOCK = (
    "Đồng bộ đồng hồ máy gửi (NTP), ký lại ngay trước khi gửi.",
    "Set the sender's clock (NTP) and sign right before sending.",
)

SIGNATURE = (
    _theirs(
        "signature.missing",
        401,
        ("Thiếu chữ ký", "No signature"),
        ("Thông điệp không có chữ ký của hệ thống gửi ({where}).", "The message carries no signature of its sender ({where})."),
        _SIGN_ANEW,
    ),
    _theirs(
        "signature.several",
        400,
        ("Nhiều hơn một chữ ký", "More than one signature"),
        ("Chỉ được có đúng một chữ ký, nhưng thấy {found} ({where}).", "Exactly one signature is allowed, {found} were found ({where})."),
        ("Bỏ các chữ ký thừa; mỗi thông điệp một chữ ký.", "Remove the others: one signature to a message."),
    ),
    _theirs(
        "signature.malformed",
        400,
        ("Chữ ký sai cấu trúc", "Malformed signature"),
        ("{where} không đúng cấu trúc quy định: {rule}.", "{where} does not have the prescribed form: {rule}."),
        ("Sửa phần được nêu theo trang «Giao thức» rồi ký lại.", "Correct the part named, as the wire page describes, and sign again."),
    ),
    _theirs(
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
    _theirs(
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
    _theirs(
        "signature.component-unknown",
        400,
        ("Thành phần được ký không nằm trong quy định", "Unknown signed component"),
        (
            "Chữ ký phủ thành phần {component}, thành phần này không có trong quy định.",
            "The signature covers {component}, which the profile does not know.",
        ),
        ("Chỉ ký các thành phần nêu trong trang «Giao thức».", "Cover only the components named on the wire page."),
    ),
    _theirs(
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
    _theirs(
        "signature.not-covering",
        401,
        ("Chữ ký không phủ hết thông điệp", "The signature does not cover the message"),
        (
            "Chữ ký không phủ: {missing}. Phần không được ký có thể bị sửa trên đường.",
            "The signature does not cover: {missing}. What is not signed can be changed on the way.",
        ),
        ("Thêm các phần được nêu vào danh sách ký rồi ký lại.", "Add the parts named to what you sign, and sign again."),
    ),
    _theirs(
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
    _theirs(
        "signature.lifetime",
        400,
        ("Chữ ký có hiệu lực quá dài", "The signature lives too long"),
        (
            "Thời hạn chữ ký là {lifetime} giây; cho phép nhiều nhất {allowed} giây và phải lớn hơn 0.",
            "The signature lives {lifetime} s; it must be more than 0 and at most {allowed} s.",
        ),
        ("Đặt thời điểm hết hạn gần thời điểm ký hơn.", "Set the expiry nearer to the time of signing."),
    ),
    _theirs(
        "signature.expired",
        401,
        ("Chữ ký đã hết hạn", "The signature has expired"),
        (
            "Chữ ký hết hạn cách đây {late} giây; ký lúc {created}, đồng hồ máy nhận là {now} (lệch {skew} giây).",
            "The signature expired {late} s ago; signed at {created}, the receiver's clock says {now} (a difference of {skew} s).",
        ),
        _CLOCK,
    ),
    _theirs(
        "signature.from-future",
        401,
        ("Chữ ký đến từ tương lai", "The signature comes from the future"),
        (
            "Thời điểm ký {created} đi trước đồng hồ máy nhận {now} là {skew} giây; cho phép nhiều nhất {allowed} giây.",
            "The time of signing {created} is {skew} s ahead of the receiver's clock {now}; at most {allowed} s are allowed.",
        ),
        _CLOCK,
    ),
    _theirs(
        "signature.unknown-key",
        401,
        ("Không biết khóa ký", "Unknown signing key"),
        ("Khóa ký {key} chưa được đăng ký hoặc đã bị thu hồi.", "The signing key {key} is not registered, or was revoked."),
        (
            "Đăng ký chứng thư ký với Trung tâm, hoặc dùng khóa đang còn hiệu lực.",
            "Register the signing certificate with the centre, or use the key that is in force.",
        ),
    ),
    _theirs(
        "signature.key-expired",
        401,
        ("Chứng thư ký ngoài thời hạn", "The signing certificate is out of its time"),
        (
            "Chứng thư của khóa {key} có hiệu lực từ {valid_from} đến {valid_until}, không gồm thời điểm này.",
            "The certificate of key {key} is valid from {valid_from} until {valid_until}, which does not include now.",
        ),
        ("Xin cấp và đăng ký chứng thư mới.", "Have a new certificate issued and registered."),
    ),
    _theirs(
        "signature.algorithm",
        400,
        ("Thuật toán không được chấp nhận", "Algorithm not accepted"),
        (
            "{where} dùng thuật toán {algorithm}; ở đây cần {expected}.",
            "{where} uses the algorithm {algorithm}; {expected} is needed here.",
        ),
        ("Ký lại bằng thuật toán nêu trên.", "Sign again with the algorithm named."),
    ),
    _theirs(
        "signature.wrong",
        401,
        ("Chữ ký sai", "The signature is wrong"),
        ("Chữ ký không do khóa {key} tạo ra trên nội dung này.", "The signature was not made by key {key} over this content."),
        (
            "Kiểm tra khóa riêng có khớp chứng thư đã đăng ký không, địa chỉ công bố và chuỗi byte được ký.",
            "Check that the private key belongs to the registered certificate, the public address, and the very bytes signed.",
        ),
    ),
    _theirs(
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
    _theirs(
        "signature.duplicate-id",
        400,
        ("Trùng định danh phần tử", "An element Id occurs twice"),
        ("Định danh {id} xuất hiện nhiều lần trong tài liệu XML.", "The Id {id} occurs more than once in the XML document."),
        ("Đặt mỗi wsu:Id, Id, ID, xml:id một giá trị duy nhất.", "Give each wsu:Id, Id, ID and xml:id a value of its own."),
    ),
    _theirs(
        "signature.header-missing",
        400,
        ("Thiếu tiêu đề SOAP", "SOAP header missing"),
        ("Thiếu {missing} trong soap:Header.", "{missing} is missing in soap:Header."),
        ("Thêm tiêu đề này, đặt wsu:Id và ký nó.", "Add this header, give it a wsu:Id and sign it."),
    ),
)

TOKEN = (
    _theirs(
        "token.missing",
        401,
        ("Thiếu mã truy cập", "No access token"),
        ("Yêu cầu không có tiêu đề Authorization: Bearer.", "The request has no header Authorization: Bearer."),
        ("Lấy mã truy cập tại POST /oauth/token rồi gửi kèm.", "Get an access token at POST /oauth/token and send it along."),
    ),
    _theirs(
        "token.malformed",
        401,
        ("Mã không đọc được", "The token cannot be read"),
        ("Mã không phải là JWT đúng quy định: {rule}.", "The token is not a JWT of the prescribed form: {rule}."),
        ("Tạo lại mã theo RFC 7519 với đúng các trường quy định.", "Make the token again as RFC 7519 has it, with the prescribed claims."),
    ),
    _theirs(
        "token.unknown-key",
        401,
        ("Không biết khóa ký mã", "Unknown token key"),
        (
            "Mã ghi khóa {key}, khóa này chưa được đăng ký hoặc đã bị thu hồi.",
            "The token names the key {key}, which is not registered, or was revoked.",
        ),
        ("Đặt kid là mã khóa ký đã đăng ký của hệ thống.", "Set kid to the id of the system's registered signing key."),
    ),
    _theirs(
        "token.algorithm",
        401,
        ("Thuật toán của mã không được chấp nhận", "Token algorithm not accepted"),
        ("Mã ghi thuật toán {algorithm}; khóa này chỉ dùng {expected}.", "The token says {algorithm}; this key is for {expected} only."),
        ("Ký lại mã bằng thuật toán nêu trên.", "Sign the token again with the algorithm named."),
    ),
    _theirs(
        "token.wrong",
        401,
        ("Chữ ký của mã sai", "The token's signature is wrong"),
        ("Chữ ký của mã không do khóa {key} tạo ra.", "The token's signature was not made by key {key}."),
        ("Kiểm tra khóa riêng có khớp chứng thư đã đăng ký không.", "Check that the private key belongs to the registered certificate."),
    ),
    _theirs(
        "token.claim",
        401,
        ("Trường của mã không hợp lệ", "Unacceptable token claim"),
        ("Trường {claim} của mã thiếu hoặc sai: {rule}.", "The token's claim {claim} is missing or wrong: {rule}."),
        ("Sửa trường được nêu rồi ký lại mã.", "Correct the claim named and sign the token again."),
    ),
    _theirs(
        "token.expired",
        401,
        ("Mã đã hết hạn", "The token has expired"),
        ("Mã hết hạn cách đây {late} giây.", "The token expired {late} s ago."),
        ("Lấy mã mới tại POST /oauth/token; đồng bộ đồng hồ máy (NTP).", "Get a new one at POST /oauth/token; set the clock (NTP)."),
    ),
    _theirs(
        "token.from-future",
        401,
        ("Mã đến từ tương lai", "The token comes from the future"),
        ("Thời điểm cấp mã đi trước đồng hồ máy nhận {skew} giây.", "The token's time of issue is {skew} s ahead of the receiver's clock."),
        _CLOCK,
    ),
    _theirs(
        "token.other-certificate",
        401,
        ("Mã gắn với chứng thư khác", "The token is bound to another certificate"),
        (
            "Mã này được cấp cho một chứng thư TLS khác với chứng thư của kết nối.",
            "This token was issued to another TLS certificate than that of the connection.",
        ),
        ("Lấy mã mới qua chính kết nối dùng chứng thư này.", "Get a new token over a connection with this very certificate."),
    ),
    _theirs(
        "key.unacceptable",
        422,
        ("Khóa không được chấp nhận", "Unacceptable key"),
        ("Chứng thư hoặc khóa không dùng được: {rule}.", "The certificate or key cannot be used: {rule}."),
        (
            "Dùng khóa P-256, Ed25519, hoặc RSA từ 2048 bit trở lên, chứng thư X.509 v3.",
            "Use a P-256 or Ed25519 key, or RSA of 2048 bits or more, with an X.509 v3 certificate.",
        ),
    ),
)


def _denied(code: str, title: tuple[str, str], what: tuple[str, str]) -> Kind:
    after = (
        "Liên hệ {ask} để xin hoặc sửa quyền truy cập {contract}, thao tác {operation}.",
        "Ask {ask} for access to {contract}, operation {operation}, or for a change of it.",
    )
    return _kind(Branch.POLICY, code, 403, title, what, after)


ACCESS = (
    _denied(
        "access.no-grant",
        ("Chưa được cấp quyền", "No grant"),
        (
            "Cơ quan {agency} chưa có quyền nào; thao tác {operation} của {contract} bị từ chối.",
            "Agency {agency} holds no grant at all; operation {operation} of {contract} is refused.",
        ),
    ),
    _denied(
        "access.no-contract",
        ("Chưa được cấp quyền với hợp đồng dữ liệu này", "No grant for this contract"),
        (
            "Cơ quan {agency} có quyền khác, nhưng không có quyền nào với {contract}.",
            "Agency {agency} holds other grants, but none for {contract}.",
        ),
    ),
    _denied(
        "access.no-operation",
        ("Quyền không gồm thao tác này", "The grant lacks this operation"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} không gồm thao tác {operation}.",
            "Grant {grant} of agency {agency} for {contract} does not include the operation {operation}.",
        ),
    ),
    _denied(
        "access.expired",
        ("Quyền đã hết hạn", "The grant has expired"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} đã hết hạn lúc {valid_until}.",
            "Grant {grant} of agency {agency} for {contract} expired at {valid_until}.",
        ),
    ),
    _denied(
        "access.not-yet-valid",
        ("Quyền chưa có hiệu lực", "The grant is not yet in force"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} có hiệu lực từ {valid_from}.",
            "Grant {grant} of agency {agency} for {contract} is in force from {valid_from}.",
        ),
    ),
    _denied(
        "access.suspended",
        ("Quyền đang tạm dừng", "The grant is suspended"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} đang bị tạm dừng.",
            "Grant {grant} of agency {agency} for {contract} is suspended.",
        ),
    ),
    _denied(
        "access.not-approved",
        ("Quyền chưa được duyệt đủ", "The grant is not fully approved"),
        (
            "Quyền {grant} của cơ quan {agency} với {contract} chưa được hai cán bộ khác nhau duyệt.",
            "Grant {grant} of agency {agency} for {contract} has not been approved by two different officers.",
        ),
    ),
    _denied(
        "access.denied",
        ("Bị cấm rõ ràng", "Expressly denied"),
        (
            "Quyết định {grant} cấm cơ quan {agency} thực hiện thao tác {operation} của {contract}.",
            "Decision {grant} forbids agency {agency} the operation {operation} of {contract}.",
        ),
    ),
)

STORE = (
    _kind(
        Branch.OURS,
        "seal.broken",
        500,
        ("Dữ liệu lưu trữ bị hỏng", "Stored data is damaged"),
        (
            "Bản niêm phong không mở được: đã bị sửa, cắt bớt, hoặc không đúng khóa ({where}).",
            "A sealed record cannot be opened: it was changed, cut short, or the key is another ({where}).",
        ),
        (
            "Báo ngay cho bộ phận an toàn của Trung tâm; không ghi đè dữ liệu.",
            "Tell the centre's security officers at once; do not overwrite anything.",
        ),
    ),
)

register(SIGNATURE + TOKEN + ACCESS + STORE)

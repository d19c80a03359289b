"""Tokens and keys."""

from __future__ import annotations

from security.failures.words import CLOCK, theirs

TOKEN = (
    theirs(
        "token.missing",
        401,
        ("Thiếu mã truy cập", "No access token"),
        ("Yêu cầu không có tiêu đề Authorization: Bearer.", "The request has no header Authorization: Bearer."),
        (
            "Lấy mã truy cập tại POST /oauth/token rồi gửi kèm.",
            "Get an access token at POST /oauth/token and send it along.",
        ),
    ),
    theirs(
        "token.malformed",
        401,
        ("Mã không đọc được", "The token cannot be read"),
        ("Mã không phải là JWT đúng quy định: {rule}.", "The token is not a JWT of the prescribed form: {rule}."),
        (
            "Tạo lại mã theo RFC 7519 với đúng các trường quy định.",
            "Make the token again as RFC 7519 has it, with the prescribed claims.",
        ),
    ),
    theirs(
        "token.unknown-key",
        401,
        ("Không biết khóa ký mã", "Unknown token key"),
        (
            "Mã ghi khóa {key}, khóa này chưa được đăng ký hoặc đã bị thu hồi.",
            "The token names the key {key}, which is not registered, or was revoked.",
        ),
        ("Đặt kid là mã khóa ký đã đăng ký của hệ thống.", "Set kid to the id of the system's registered signing key."),
    ),
    theirs(
        "token.algorithm",
        401,
        ("Thuật toán của mã không được chấp nhận", "Token algorithm not accepted"),
        (
            "Mã ghi thuật toán {algorithm}; khóa này chỉ dùng {expected}.",
            "The token says {algorithm}; this key is for {expected} only.",
        ),
        ("Ký lại mã bằng thuật toán nêu trên.", "Sign the token again with the algorithm named."),
    ),
    theirs(
        "token.wrong",
        401,
        ("Chữ ký của mã sai", "The token's signature is wrong"),
        ("Chữ ký của mã không do khóa {key} tạo ra.", "The token's signature was not made by key {key}."),
        (
            "Kiểm tra khóa riêng có khớp chứng thư đã đăng ký không, và mã khóa (sign_key_id) có phải mã đã đăng ký của chính khóa này không.",
            "Check that the private key belongs to the registered certificate, and that the key id (sign_key_id) is the one under which this key was enrolled.",
        ),
    ),
    theirs(
        "token.claim",
        401,
        ("Trường của mã không hợp lệ", "Unacceptable token claim"),
        (
            "Trường {claim} của mã thiếu hoặc sai; cần {rule}.",
            "The token's claim {claim} is missing or wrong; {rule} is wanted.",
        ),
        ("Sửa trường được nêu rồi ký lại mã.", "Correct the claim named and sign the token again."),
    ),
    theirs(
        "token.expired",
        401,
        ("Mã đã hết hạn", "The token has expired"),
        ("Mã hết hạn cách đây {late} giây.", "The token expired {late} s ago."),
        (
            "Lấy mã mới tại POST /oauth/token; đồng bộ đồng hồ máy (NTP).",
            "Get a new one at POST /oauth/token; set the clock (NTP).",
        ),
    ),
    theirs(
        "token.from-future",
        401,
        ("Mã đến từ tương lai", "The token comes from the future"),
        (
            "Thời điểm cấp mã đi trước đồng hồ máy nhận {skew} giây.",
            "The token's time of issue is {skew} s ahead of the receiver's clock.",
        ),
        CLOCK,
    ),
    theirs(
        "token.other-certificate",
        401,
        ("Mã gắn với chứng thư khác", "The token is bound to another certificate"),
        (
            "Mã này được cấp cho một chứng thư TLS khác với chứng thư của kết nối.",
            "This token was issued to another TLS certificate than that of the connection.",
        ),
        (
            "Lấy mã mới qua chính kết nối dùng chứng thư này.",
            "Get a new token over a connection with this very certificate.",
        ),
    ),
    theirs(
        "key.unacceptable",
        422,
        ("Khóa không được chấp nhận", "Unacceptable key"),
        ("Chứng thư hoặc khóa không dùng được: {rule}.", "The certificate or key cannot be used: {rule}."),
        (
            "Dùng khóa P-256, Ed25519, hoặc RSA từ 3072 bit trở lên (khóa mã hóa chỉ dùng RSA), chứng thư X.509 v3; yêu cầu chứng thư ghi hệ thống ở subjectAltName (URI:urn:lgsp:system:…).",
            "Use a P-256 or Ed25519 key, or RSA of 3072 bits or more (for encryption RSA alone), with an X.509 v3 certificate; a request names its system in subjectAltName (URI:urn:lgsp:system:…).",
        ),
    ),
    theirs(
        "key.untrusted",
        422,
        ("Chứng thư không do tổ chức được tin cậy cấp", "No trusted authority vouches for the certificate"),
        (
            "Không có tổ chức chứng thực nào được tin cậy cho mục đích {use} bảo đảm chứng thư do «{issuer}» cấp: {rule}.",
            "No authority that is trusted for {use} vouches for the certificate issued by {issuer}: {rule}.",
        ),
        (
            "Đăng ký tổ chức chứng thực đó (authorities) kèm chứng thư gốc và trung gian, hoặc xin chứng thư khác.",
            "State that authority (authorities) with its root and its issuing certificates, or get another certificate.",
        ),
    ),
)

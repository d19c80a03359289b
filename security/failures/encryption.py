"""Encrypted bodies: JWS in JWE by REST, XML Encryption by SOAP.

What can be read of an encrypted body without a key is refused for what it is (`body.encryption-profile`). Whatever goes wrong with a key in hand is
`body.decryption` and nothing more, so that nobody learns about a plaintext or a key by asking often.
"""

from __future__ import annotations

from contracts.base.errors import Branch
from security.failures.words import kind, theirs

ENCRYPTION = (
    theirs(
        "body.not-encrypted",
        400,
        ("Nội dung chưa được mã hóa", "The body is not encrypted"),
        (
            "Hợp đồng {contract} chỉ nhận nội dung đã ký rồi mã hóa ({expected}); nhận được {got}.",
            "The contract {contract} takes signed and encrypted bodies only ({expected}); this one is {got}.",
        ),
        (
            "Mã hóa nội dung cho khóa mã hóa của trục liên thông theo trang «Giao thức» rồi gửi lại.",
            "Encrypt the body for the gateway's encryption key as the wire page describes, and send it again.",
        ),
    ),
    theirs(
        "body.encryption-unexpected",
        400,
        ("Nội dung không được mã hóa ở đây", "Encryption is not expected here"),
        (
            "Hợp đồng {contract} nhận nội dung đã ký, không mã hóa; nhận được {got}.",
            "The contract {contract} takes signed bodies that are not encrypted; this one is {got}.",
        ),
        ("Gửi nội dung không mã hóa, có chữ ký.", "Send the body in plain, signed."),
    ),
    theirs(
        "body.encryption-profile",
        400,
        ("Cách mã hóa không theo quy định", "Encrypted in another way than prescribed"),
        (
            "{where} của nội dung mã hóa không theo quy định: {rule}.",
            "{where} of the encrypted body is not as prescribed: {rule}.",
        ),
        ("Mã hóa lại đúng theo trang «Giao thức».", "Encrypt it again, exactly as the wire page describes."),
    ),
    theirs(
        "body.decryption",
        400,
        ("Không giải mã được nội dung", "The body cannot be decrypted"),
        (
            "Nội dung mã hóa không giải mã được bằng khóa của trục liên thông.",
            "The encrypted body does not open with the gateway's key.",
        ),
        (
            "Lấy chứng thư mã hóa hiện hành của trục liên thông, mã hóa lại cho đúng khóa đó rồi gửi lại.",
            "Take the gateway's encryption certificate now in force, encrypt the body again for that key, and send it.",
        ),
    ),
    kind(
        Branch.POLICY,
        "encryption.no-key",
        403,
        ("Chưa có khóa mã hóa", "No encryption key"),
        (
            "Hợp đồng {contract} trả lời bằng nội dung mã hóa, nhưng hệ thống {system} chưa có khóa mã hóa {kind} còn hiệu lực.",
            "The contract {contract} answers with encrypted bodies, but the system {system} has no encryption key ({kind}) in force.",
        ),
        (
            "Đăng ký chứng thư mã hóa của hệ thống với cơ quan vận hành rồi gửi lại.",
            "Enrol an encryption certificate of the system with the operator, then send it again.",
        ),
    ),
)

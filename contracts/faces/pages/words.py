"""Words of the documentation page in both languages, and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from contracts.base.errors import Language

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "operations": ("Thao tác", "Operations"),
    "name": ("Tên", "Name"),
    "pattern": ("Kiểu", "Pattern"),
    "address": ("Địa chỉ", "Address"),
    "request": ("Gửi", "Request"),
    "answer": ("Trả lời", "Answer"),
    "field": ("Trường", "Field"),
    "meaning": ("Ý nghĩa", "Meaning"),
    "rule": ("Quy tắc", "Rule"),
    "required": ("bắt buộc", "required"),
    "absentable": ("có thể vắng, kèm lý do", "may be absent, with a reason"),
    "tables": ("Bảng mã", "Code tables"),
    "code": ("Mã", "Code"),
    "from": ("Hiệu lực từ", "Valid from"),
    "until": ("Đến hết", "Valid until"),
    "successor": ("Thay bằng", "Replaced by"),
    "formats": ("Định dạng riêng", "Formats of systems"),
    "loses": ("Những gì mất khi chuyển đổi", "What is lost on the way"),
    "nothing": ("không mất gì", "nothing"),
    "samples": ("Mẫu", "Samples"),
    "given": ("Mẫu của hợp đồng", "Samples of the contract"),
    "valid": ("Mẫu đúng, sinh từ lược đồ", "Valid samples, made from the schema"),
    "invalid": ("Mẫu sai, mỗi mẫu phạm một quy tắc", "Invalid samples, each breaking one rule"),
    "where": ("Ở đâu", "Where"),
    "message": ("Bản tin", "Message"),
    "enforced": ("Ai kiểm tra điều gì", "What each face enforces"),
    "gateway": ("Cổng", "Gateway"),
    "stricter": ("Cổng chặt hơn ở những điểm sau", "Where the gateway is stricter"),
    "legal": ("Căn cứ pháp lý", "Legal basis"),
    "version": ("Phiên bản", "Version"),
    "protection": ("Bảo vệ nội dung", "Protection of bodies"),
    "signed": (
        "Mọi thông điệp được ký; nội dung không mã hóa thêm ngoài kênh TLS.",
        "Every message is signed; its body is not encrypted beyond the TLS channel.",
    ),
    "encrypted": (
        "Nội dung được ký rồi mã hóa, cả hai chiều: REST application/jose (JWS trong JWE), SOAP XML Encryption. Hệ thống phải đăng ký chứng thư mã hóa; "
        "khóa mã hóa của cổng ở /keys. Quy định đầy đủ: docs/wire.md, mục Encrypted bodies.",
        "Bodies are signed, then encrypted, both ways: REST application/jose (JWS in JWE), SOAP XML Encryption. A system enrols an encryption "
        "certificate; the gateway's encryption key is at /keys. The whole profile: docs/wire.md, Encrypted bodies.",
    ),
    "calls": ("Gọi thử", "Calls to copy"),
    "folder": (
        "Đặt DIR là thư mục định danh của hệ thống; lệnh chạy trong thư mục mã nguồn của cổng.",
        "DIR is your system's identity folder; run these in the folder of the gateway's code.",
    ),
}


def say(word: str, language: Language) -> str:
    return _WORDS[word][0 if language == "vi" else 1]


def head(words: Iterable[str], language: Language) -> list[str]:
    return [say(word, language) for word in words]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Titles and cells are HTML already."""
    lines = ["<table><tr>" + "".join(f'<th scope="col">{title}</th>' for title in titles) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])

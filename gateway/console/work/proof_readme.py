"""The page that comes with a proof: what its files are, and how a stranger checks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_EN: Final = """# Proof of the transfer {transfer}

Each file in `entries/` is one entry of the audit log, with its proof beside it:

| file | what it is |
|---|---|
| `entries/….json` | the entry, as the log has it |
| `entries/….tlog-proof` | its proof up to the signed checkpoint (C2SP tlog-proof) |
| `entries/….json.spicy` | the same proof for `spicy-litetlog` |
| `log/checkpoint` | the signed checkpoint of the log |
| `log/log.vkey` | the log's public key; take it from outside this archive before you trust it |
| `proof.json` | the same for programs |

Run in this folder, with the key `../log.vkey` that you got from the operator, from a witness, or in print:

```sh
spicy-litetlog -verify "$(cat ../log.vkey)" entries/*.json   # Debian package litetlog
```

Or with `openssl` 3.0 and `sha256sum` alone; read `by-hand.sh` first, it is forty lines:

```sh
{en}
```

It proves that these entries are in the log. It does not prove that the caller received the answer: the caller holds
that, as a signed answer with its receipt. Messages and certificates are not here; a package of evidence has them.
"""
_VI: Final = """# Bằng chứng của giao dịch {transfer}

Mỗi tệp trong `entries/` là một mục của nhật ký, kèm bằng chứng của mục đó:

| tệp | là gì |
|---|---|
| `entries/….json` | mục nhật ký, đúng như trong nhật ký |
| `entries/….tlog-proof` | bằng chứng nối mục tới điểm kiểm tra đã ký (C2SP tlog-proof) |
| `entries/….json.spicy` | cùng bằng chứng đó, cho `spicy-litetlog` |
| `log/checkpoint` | điểm kiểm tra đã ký của nhật ký |
| `log/log.vkey` | khóa công khai của nhật ký; trước khi tin, hãy lấy khóa từ nơi khác |
| `proof.json` | cùng nội dung, cho phần mềm |

Chạy trong thư mục này, với khóa `../log.vkey` lấy từ đơn vị vận hành, từ bên chứng kiến hoặc bản in:

```sh
spicy-litetlog -verify "$(cat ../log.vkey)" entries/*.json   # gói Debian litetlog
```

Hoặc chỉ cần `openssl` 3.0 và `sha256sum`; hãy đọc `by-hand.sh` trước, dài bốn mươi dòng:

```sh
{vi}
```

Gói này chứng minh các mục trên có trong nhật ký. Gói không chứng minh bên gọi đã nhận câu trả lời: bên gọi giữ điều đó,
là câu trả lời có chữ ký kèm biên nhận. Thông điệp và chứng thư không có ở đây mà ở gói chứng cứ.
"""


def readme(transfer: str, entries: Sequence[str]) -> dict[str, str]:
    """By file. `entries` are the common names of their files."""
    lines = "\n".join(f"bash by-hand.sh ../log.vkey {name}.json {name}.tlog-proof" for name in entries)
    return {
        "README.md": _EN.format(transfer=transfer, en=lines),
        "README.vi.md": _VI.format(transfer=transfer, vi=lines),
    }

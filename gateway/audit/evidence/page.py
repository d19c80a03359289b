"""The pages of an evidence package that explain how to check it, in English and Vietnamese, for outsiders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from security.grants.windows import civil

# Digest in the entries -> file of the message.
DIGESTED: Final = {
    "in": "messages/request.http",
    "sent": "messages/forwarded.http",
    "back": "messages/provider-answer.http",
    "out": "messages/answer.json",
}
_SALTED: Final = r"""salted() { { printf '%b' "$(sed 's/../\\x&/g' messages/salt)"; cat "$1"; } | sha256sum; }"""
_BODY: Final = r"salted <(sed '1,/^\r*$/d' messages/request.http)"
_QUESTION: Final = r"salted <(sed -n '1s/^[^?]*?\(.*\) HTTP.*/\1/p' messages/request.http | tr -d '\n')"


@dataclass(frozen=True, slots=True)
class Facts:
    """The values in the page."""

    transfer: str
    note: str
    files: tuple[str, ...]
    missing: Mapping[str, str]
    actor: str
    reason: str
    made: str
    at: str  # of the transfer: certificates had to be valid then
    body: bool = True  # whether the request has one

    @property
    def origin(self) -> str:
        return self.note.split("\n", 1)[0]

    @property
    def proofs(self) -> tuple[str, ...]:
        """The entries, by the common name of their files."""
        return tuple(name.removesuffix(".tlog-proof") for name in self.files if name.endswith(".tlog-proof"))

    def by_hand(self, key: str) -> str:
        return "\n".join(f"bash by-hand.sh {key} {name}.json {name}.tlog-proof" for name in self.proofs)

    @property
    def digests(self) -> str:
        """Shell commands that compute the digest of each message; `salted` is a function defined before."""
        commands = [
            (part, f"salted {file}")
            for part, file in DIGESTED.items()
            if file in self.files and "messages/salt" in self.files
        ]
        if commands and commands[0][0] == "in":
            commands[0] = "in", _BODY if self.body else _QUESTION
        return "\n".join([_SALTED, *(f"{command:<82} # {part}" for part, command in commands)])


def english(facts: Facts) -> str:
    missing = "".join(f"- `{part}` is not here: {why}\n" for part, why in facts.missing.items()) or "- nothing\n"
    stamp = (
        "\n**When the checkpoint existed at the latest**, by a time-stamp authority that you trust:\n\n"
        "```sh\nopenssl ts -verify -data log/checkpoint -in log/checkpoint.tsr -CAfile ../tsa-authorities.pem\n```\n"
        if "log/checkpoint.tsr" in facts.files
        else ""
    )
    return f"""# Evidence of transfer {facts.transfer}

Log: `{facts.origin}`. Made {civil(facts.made, seconds=True)} by {facts.actor}; reason given: {facts.reason}.
That it was made stands in the log, too.

What belongs to the transfer and is missing:
{missing}
## What you must have from elsewhere

1. The **key of the log** (`log.vkey`), from the gateway's operator, an agency or a print-out: not the copy in `log/`.
2. The **authorities** that issue certificates to the systems: not the copy in `certificates/`.
3. If you can: a **checkpoint** that an agency kept. Each answer of the gateway carried one; the log must go on from it.

Put them beside this folder, not into it: what the manifest does not name does not belong to the package.
All commands are run in this folder.

## In one step

```sh
python3 -m pip install cryptography lxml      # once
python3 check.pyz . --vkey ../log.vkey --authorities ../authorities.pem
```

`check.pyz` is a zip file of a few readable modules. Whoever altered the package could have altered it too: compare its
SHA-256 with the one that you were given with the key, take it from the published source, or do without it.
What is in `unproven/` is the gateway's own word: no entry of the log covers it.

## By hand

**The entry stands in the log** (C2SP tlog-proof; Debian package `litetlog`):

```sh
spicy-litetlog -verify "$(cat ../log.vkey)" entries/*.json
```

Without that tool, with `openssl` (3.0 or newer) and `sha256sum` alone; `by-hand.sh` is forty lines to be read first
(RFC 9162 §2.1.3.2):

```sh
{facts.by_hand("../log.vkey")}
```

**The messages are those of the entry**: SHA-256 of the salt and the octets, as it stands in `entries/…-intent.json` and
`entries/…-outcome.json`. `in` is of the request's body (all after the first empty line; of a question without a body,
what follows the `?`), `sent` and `back` are of the files whole, `out` is of the answer before fields were hidden from
the caller. In `bash`:

```sh
{facts.digests}
```

**The head of `request.http`** is in no digest. Of it only the lines that `signature-input` lists are proven, and the
first line where it lists `@method` and `@target-uri`. SOAP signs no line of it. `check.pyz` names what nothing covers.

**Who signed**: REST messages bear RFC 9421 signatures (`signature-input`, `signature`), SOAP messages WS-Security
(`xmlsec1 --verify` takes them); of encrypted ones `….opened` holds what was signed inside. The certificates are in
`certificates/`, named by key id; `status.json` says what was known of each, the lines `lgsp-certificate-status` in the
request what was known at that moment.

```sh
openssl verify -CAfile ../authorities.pem -attime $(date -d '{facts.at}' +%s) certificates/*.crt
```
{stamp}
## What this cannot show

That the gateway handed the answer to the caller (the caller holds that: a signed answer with a receipt), and what never
passed the gateway.
"""


def vietnamese(facts: Facts) -> str:
    missing = (
        "".join(f"- `{part}` không có ở đây: {why}\n" for part, why in facts.missing.items()) or "- không thiếu gì\n"
    )
    stamp = (
        "\n**Điểm kiểm tra có muộn nhất vào lúc nào**, theo một tổ chức cấp dấu thời gian mà anh/chị tin:\n\n"
        "```sh\nopenssl ts -verify -data log/checkpoint -in log/checkpoint.tsr -CAfile ../tsa-authorities.pem\n```\n"
        if "log/checkpoint.tsr" in facts.files
        else ""
    )
    return f"""# Chứng cứ của giao dịch {facts.transfer}

Nhật ký: `{facts.origin}`. Lập lúc {civil(facts.made, seconds=True)}, người lập: {facts.actor}; lý do: {facts.reason}.
Việc lập gói này cũng được ghi vào nhật ký.

Phần thuộc giao dịch nhưng không có trong gói:
{missing}
## Những thứ phải lấy từ nơi khác

1. **Khóa của nhật ký** (`log.vkey`): lấy từ đơn vị vận hành, một cơ quan khác hoặc bản in; không dùng bản sao trong
   `log/`.
2. **Các cơ quan chứng thực** đã cấp chứng thư cho các hệ thống; không dùng bản sao trong `certificates/`.
3. Nếu có: một **điểm kiểm tra** mà một cơ quan đã giữ. Mỗi câu trả lời của cổng đều kèm một điểm kiểm tra; nhật ký phải
   nối tiếp điểm đó.

Để chúng bên cạnh thư mục này, không để vào trong: tệp mà bản kê không nêu thì không thuộc gói. Mọi lệnh đều chạy trong
thư mục này.

## Kiểm tra bằng một lệnh

```sh
python3 -m pip install cryptography lxml      # một lần
python3 check.pyz . --vkey ../khoa-nhat-ky.vkey --authorities ../co-quan-chung-thuc.pem
```

`check.pyz` là một tệp zip gồm vài mô-đun đọc được. Ai sửa gói cũng có thể sửa nó: hãy so mã SHA-256 của nó với mã được
trao cùng khóa, hoặc lấy từ mã nguồn công bố, hoặc kiểm tra không cần nó. Phần trong `unproven/` là lời của chính cổng
trao đổi dữ liệu: không mục nhật ký nào bao trùm nó.

## Kiểm tra bằng tay

**Mục nhật ký có trong nhật ký** (gói Debian `litetlog`):

```sh
spicy-litetlog -verify "$(cat ../khoa-nhat-ky.vkey)" entries/*.json
```

Không có công cụ đó thì chỉ cần `openssl` (3.0 trở lên) và `sha256sum`; `by-hand.sh` dài bốn mươi dòng, nên đọc trước
khi chạy (RFC 9162 §2.1.3.2):

```sh
{facts.by_hand("../khoa-nhat-ky.vkey")}
```

**Thông điệp đúng là của mục đó**: SHA-256 của muối và các byte, như ghi trong `entries/…-intent.json` và
`entries/…-outcome.json`. `in` là thân của yêu cầu (tất cả sau dòng trống đầu tiên; yêu cầu không có thân thì là phần
sau dấu `?`), `sent` và `back` là cả tệp, `out` là câu trả lời trước khi các trường bị che. Chạy bằng `bash`:

```sh
{facts.digests}
```

**Phần đầu của `request.http`** không có trong mã băm nào. Trong đó chỉ những dòng mà `signature-input` kê ra là được
chứng minh, và dòng đầu tiên nếu nó kê `@method` và `@target-uri`. SOAP không ký dòng nào. `check.pyz` nêu tên những
dòng không được gì bảo vệ.

**Ai đã ký**: thông điệp REST có chữ ký RFC 9421, thông điệp SOAP có WS-Security (`xmlsec1 --verify`); của thông điệp đã
mã hóa, tệp `….opened` giữ phần được ký bên trong. Chứng thư ở `certificates/`, đặt tên theo mã khóa; `status.json` cho
biết tình trạng của từng chứng thư, các dòng `lgsp-certificate-status` trong yêu cầu cho biết tình trạng vào đúng lúc
đó.

```sh
openssl verify -CAfile ../co-quan-chung-thuc.pem -attime $(date -d '{facts.at}' +%s) certificates/*.crt
```
{stamp}
## Điều mà gói này không chứng minh được

Rằng cổng đã trao câu trả lời cho bên gọi (bên gọi giữ điều đó: câu trả lời có chữ ký kèm biên nhận), và những gì không
đi qua cổng.
"""

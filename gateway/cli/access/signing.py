"""Signs a content with an officer's private key, and reads the files that `lgsp access` is given."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.common import arguments
from gateway.cli.common.output import Exit, fail


def signature_of(content: bytes, officer: str, key: Path | None, as_json: bool) -> str:
    from getpass import getpass

    from security.grants import approvals

    if key is None:
        fail(
            Exit.USAGE,
            "no-key",
            "neither --key nor --signature is given / chưa có --key hoặc --signature",
            "Sign with --key FILE, or bring a signature made elsewhere."
            " / Ký bằng --key TỆP, hoặc đưa chữ ký đã ký ở nơi khác.",
            as_json,
        )
    private = read(key, "an officer's key", as_json)
    password = getpass(f"Mật khẩu của / password of {key}: ").encode() if b"ENCRYPTED" in private else None
    return approvals.approve(content, officer, private, password)


def read(file: Path, what: str, as_json: bool) -> bytes:
    then = f"Name {what}; docs/access.md tells how it is made. / Chỉ đúng tệp; docs/vi/access.md hướng dẫn cách tạo."
    return arguments.content(file, then, as_json)

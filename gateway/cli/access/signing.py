"""Signs a content with an officer's private key, and reads the files that `lgsp access` is given."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.cli.common import arguments
from gateway.cli.common.output import Exit, fail
from gateway.cli.common.private_keys import private_key


class Signer:
    """An officer's private key, read once; its password is asked for once."""

    def __init__(self, officer: str, key: Path | None, as_json: bool) -> None:
        """Ends the command where no key is named, or its file cannot be read."""
        if key is None:
            fail(
                Exit.USAGE,
                "no-key",
                "neither --key nor --signature is given / chưa có --key hoặc --signature",
                "Sign with --key FILE, or bring a signature made elsewhere."
                " / Ký bằng --key TỆP, hoặc đưa chữ ký đã ký ở nơi khác.",
                as_json,
            )
        self._officer: Final = officer
        then = "Name an officer's private key (docs/access.md). / Chỉ khóa bí mật của cán bộ (docs/vi/access.md)."
        self._key: Final = private_key(key, then, as_json)

    def sign(self, content: bytes) -> str:
        """Raises `key.unacceptable`, `key.password`."""
        from security.grants import approvals

        return approvals.approve(content, self._officer, self._key.pem, self._key.password)


def read(file: Path, what: str, as_json: bool) -> bytes:
    then = f"Name {what}; docs/access.md tells how it is made. / Chỉ đúng tệp; docs/vi/access.md hướng dẫn cách tạo."
    return arguments.content(file, then, as_json)

"""Signs a content with an officer's private key, and reads the files that `lgsp access` is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from contracts.base import jcs
from gateway.cli.common import arguments
from gateway.cli.common.output import Exit, fail
from gateway.cli.common.private_keys import private_key

# The names by which the contents that officers sign are told from any other JSON.
_KINDS: Final = (
    frozenset({"id", "contract", "operations", "purpose"}),  # a grant
    frozenset({"officer", "agency", "key"}),
    frozenset({"person", "role", "agency", "key"}),
    frozenset({"officer", "passkey", "credential"}),
    frozenset({"code", "roles", "edition"}),  # an agency
    frozenset({"id", "agency", "formats", "edition"}),  # a system
    frozenset({"contract", "operation", "table", "edition"}),  # a route
    frozenset({"contract", "workflow", "edition"}),
    frozenset({"review", "instance", "matrix"}),
)


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


def contents(file: Path, as_json: bool) -> list[bytes]:
    """What officers sign, a line each: canonical JSON of one of the kinds. Ends the command for anything else."""
    what = "a content, as `lgsp access show --canonical` gives it"
    lines = [line for each in read(file, what, as_json).splitlines() if (line := each.strip())]
    if not lines or not all(map(_is_content, lines)):
        fail(
            Exit.USAGE,
            "no-content",
            f"{file} is no content that officers sign / {file} không phải nội dung để cán bộ ký",
            "Name what `lgsp access show … --canonical` or `lgsp access review` printed, unchanged."
            " / Chỉ đúng tệp do `lgsp access show … --canonical` hoặc `lgsp access review` in ra, không sửa gì.",
            as_json,
        )
    return lines


def _is_content(line: bytes) -> bool:
    try:
        value = json.loads(line)
        return isinstance(value, dict) and any(kind <= value.keys() for kind in _KINDS) and jcs.encode(value) == line
    except (ValueError, RecursionError):
        return False

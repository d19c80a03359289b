"""The local secret that authenticates the old system to the agent, and the agent to the old system.

It is a file of one line, readable only by its owner. On Windows its access list decides, which `lgsp agent check`
cannot check.
Invariant: it is compared in constant time, and is never logged.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.agent.errors import AGENT_CONFIGURATION, AGENT_SECRET

HEADER: Final = "lgsp-agent-secret"
LEAST: Final = 16


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def check_private(path: Path) -> None:
    """Read the file. Raises AGENT_CONFIGURATION if other users may read it (POSIX only)."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as trouble:
        raise AGENT_CONFIGURATION(where=str(path), rule=trouble.strerror or "?") from None
    if os.name == "posix" and mode & 0o077:
        raise AGENT_CONFIGURATION(where=str(path), rule=f"mode {mode:o} ≠ 600 (chmod 600)")


class LocalSecret:
    def __init__(self, text: str) -> None:
        self._bytes = text.encode("ascii")
        self._basic = "Basic " + base64.b64encode(b"agent:" + self._bytes).decode("ascii")

    @classmethod
    def read(cls, path: Path) -> LocalSecret:
        check_private(path)
        text = path.read_text("utf-8").strip()
        if len(text) < LEAST or not text.isascii() or not text.isprintable() or " " in text:
            raise AGENT_CONFIGURATION(where=str(path), rule=f"≥ {LEAST} ASCII")
        return cls(text)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises AGENT_SECRET unless the header or the Basic password is the secret."""
        shown = headers.get(HEADER, "").encode("utf-8", "replace")
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if not shown and scheme.lower() == "basic" and not _from_a_page(headers):
            try:
                shown = base64.b64decode(value.strip(), validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                shown = b""
        if not hmac.compare_digest(shown, self._bytes):
            raise AGENT_SECRET()

    def headers(self) -> dict[str, str]:
        """The headers for the old system, in both forms, so that a plain server can check one."""
        return {HEADER: self._bytes.decode("ascii"), "authorization": self._basic}


def _from_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent it for another site, with a remembered Basic password (Fetch section 3.2, Fetch
    Metadata)."""
    return "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")

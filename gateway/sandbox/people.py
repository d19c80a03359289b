"""The stand-in persons of a sandbox: who operates it by default, and who audits it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.settings import Settings

OPERATOR: Final = "nguoi-van-hanh"
AUDITOR: Final = "kiem-toan-vien"
KEY: Final = "person.key"


def key_of(settings: Settings, person: str) -> Path:
    """The private key of a stand-in person; of an older sandbox there is none."""
    return settings.identities / person / KEY

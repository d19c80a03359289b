"""What the fixtures of these tests hold: the keys of a system and the authorities that certify them."""

from __future__ import annotations

from dataclasses import dataclass

from security.keys import SigningKey, VerifyKey
from security.pki.authority import Authority

NOW = 1_795_503_600.0  # 2026-11-24T07:00:00Z


@dataclass(frozen=True)
class Pair:
    sign: SigningKey
    verify: VerifyKey


@dataclass(frozen=True)
class House:
    root: Authority
    tls: Authority
    signing: Authority

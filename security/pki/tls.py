"""TLS parameters for every connection (RFC 9325).

TLS 1.2 at least, 1.3 preferred. All suites of 1.3 are acceptable; of 1.2, AEAD suites with forward secrecy.
"""

from __future__ import annotations

from typing import Final

SUITES_12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

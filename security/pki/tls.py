"""What TLS must be on every road of the house (RFC 9325); whoever opens or takes connections makes its context by it.

TLS 1.2 at least, 1.3 preferred. 1.3 has none but good suites; of 1.2 these are AEAD with forward secrecy.
"""

from __future__ import annotations

from typing import Final

SUITES_12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

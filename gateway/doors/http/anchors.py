"""Loads the trusted authorities of handshakes, and new ones while a door runs.

All connections share the TLS context, so a new authority counts from the next handshake on. A removed authority stays
in the context until the process ends. This is safe: a certificate must also be registered, and its authority too
(`channel`).
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from gateway.registry.snapshot import Snapshot

_log = logging.getLogger("lgsp.door")


class Anchors:
    """`file` holds the embedded authority's certificates. The registry holds those of outside authorities."""

    def __init__(self, context: ssl.SSLContext, file: Path) -> None:
        self._context = context
        self._file = file
        self._taken = ""

    def take(self, snapshot: Snapshot) -> None:
        """For `Registry.follow`. If an authority cannot be read, the context stays unchanged."""
        try:
            wanted = self._file.read_text("ascii")
            wanted += "".join(each.certificates for each in snapshot.authorities.values() if "tls" in each.uses)
            if wanted != self._taken:
                self._context.load_verify_locations(cadata=wanted)
                self._taken = wanted
        except (OSError, ValueError) as trouble:  # ssl.SSLError is an OSError
            _log.error("the authorities for handshakes cannot be read: %s", trouble)

"""The authorities that handshakes understand, taken up while a door runs.

A context is the same for all connections to come, so what is loaded into it holds from the next handshake on, and no connection is touched. An authority that is
no longer trusted stays in the context until the process ends, which does no harm: a certificate counts only if it is registered, and one whose authority has
left the registry is refused (`channel`).
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from gateway.registry.snapshot import Snapshot

_log = logging.getLogger("lgsp.door")


class Anchors:
    """`file` holds the embedded authority's certificates; those of outside authorities come from the registry."""

    def __init__(self, context: ssl.SSLContext, file: Path) -> None:
        self._context = context
        self._file = file
        self._taken = ""

    def take(self, snapshot: Snapshot) -> None:
        """For `Registry.follow`. What cannot be read leaves the context as it is."""
        try:
            wanted = self._file.read_text("ascii")
            wanted += "".join(each.certificates for each in snapshot.authorities.values() if "tls" in each.uses)
            if wanted != self._taken:
                self._context.load_verify_locations(cadata=wanted)
                self._taken = wanted
        except (OSError, ValueError) as trouble:  # ssl.SSLError is an OSError
            _log.error("the authorities for handshakes cannot be read: %s", trouble)

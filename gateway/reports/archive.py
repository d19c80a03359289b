"""Writes a ZIP archive anew so that its bytes follow from its parts and one time."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime


def restamped(archive: bytes, at: float) -> bytes:
    """The same parts in the same order, each with the time `at` (UTC, in steps of two seconds as ZIP has them)."""
    time, written = datetime.fromtimestamp(at, UTC), io.BytesIO()
    stamp = (time.year, time.month, time.day, time.hour, time.minute, time.second)
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = zipfile.ZipInfo(name, stamp)
            part.external_attr = 0o600 << 16
            part.create_system = 3
            new.writestr(part, old.read(name), zipfile.ZIP_DEFLATED)
    return written.getvalue()

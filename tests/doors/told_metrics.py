"""What `/metrics` say of counts, without a listener."""

from __future__ import annotations

from gateway.doors.counts import Counts
from gateway.doors.metrics import Standing, text


def metrics(counts: Counts) -> str:
    return text(Standing(up=True, counts=counts, age=0.0, snapshot=None, now=0.0)).decode()

"""The operation on readers of feeds: who reads what, how far, and how far behind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import feed_readers


def list_feed_readers(asked: Asked) -> Any:
    found = feed_readers.reading(asked.desk, asked.viewer)
    return {"readers": [{**asdict(each), "read_at": each.read_at and rfc3339(each.read_at)} for each in found]}


OPERATIONS = {"listFeedReaders": list_feed_readers}

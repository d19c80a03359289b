"""The operation on readers of feeds: who reads what, how far, and how far behind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import feed_readers
from gateway.exchange.feed_readers import FeedReader


def list_feed_readers(asked: Asked) -> Any:
    found = feed_readers.reading(asked.desk, asked.viewer)
    return {"readers": [shown_reader(each) for each in found]}


def shown_reader(reader: FeedReader) -> dict[str, Any]:
    return {**asdict(reader), "read_at": reader.read_at and rfc3339(reader.read_at)}


OPERATIONS = {"listFeedReaders": list_feed_readers}

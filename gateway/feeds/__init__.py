"""Reads feeds: `read` gives pages of CloudEvents, `cursor` encodes positions in a feed."""

from gateway.feeds.reading import MOST, Page, RawPage, read, read_raw

__all__ = ["MOST", "Page", "RawPage", "read", "read_raw"]

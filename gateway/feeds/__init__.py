"""Feeds for the centre: `read` gives pages of CloudEvents, `cursor` what marks a place in one."""

from gateway.feeds.reading import MOST, Page, RawPage, read, read_raw

__all__ = ["MOST", "Page", "RawPage", "read", "read_raw"]

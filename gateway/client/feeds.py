"""A page of a feed (openapi/feeds.yaml): CloudEvents, oldest first, and the cursor to go on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.client.answers import Answer


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Keep `next` once the events are stored. With `more` False there is nothing after this page yet; ask again later with the same cursor."""

    events: tuple[dict[str, Any], ...]
    next: str
    more: bool
    answer: Answer

    @classmethod
    def read(cls, answer: Answer) -> FeedPage:
        """ValueError for anything but a page."""
        try:
            content = answer.json()
            return cls(tuple(content["events"]), str(content["next"]), content["more"] is True, answer)
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"{type(wrong).__name__}: {wrong}") from None

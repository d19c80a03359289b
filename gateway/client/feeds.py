"""A page of a feed (openapi/feeds.yaml): CloudEvents, oldest first, and the cursor of the next page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.client.answers import Answer


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Keep `next` once the events are stored. `more` False: nothing newer yet; ask later with the same cursor."""

    events: tuple[dict[str, Any], ...]
    next: str
    more: bool
    answer: Answer

    @classmethod
    def read(cls, answer: Answer) -> FeedPage:
        """Raises ValueError for anything but a page."""
        try:
            content = answer.json()
            return cls(tuple(content["events"]), str(content["next"]), content["more"] is True, answer)
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"{type(wrong).__name__}: {wrong}") from None

"""Server-sent events that say that a page has changed (HTML, 9.2). The browser then fetches the page again.

Invariant: a stream ends after `SECONDS`, so that a browser that was left open holds no thread for good.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from gateway.console.site.page import Sent

SECONDS: Final = 60.0
PAUSE: Final = 1.0


def changes(probe: Callable[[], object], *, going: Callable[[], bool] = lambda: True) -> Sent:
    """`probe` reads what the page shows, as a small value. `going`: whether it may still change."""

    def events() -> Iterator[bytes]:
        until, before = time.monotonic() + SECONDS, probe()
        # It may have changed since the page was rendered.
        yield b"retry: 2000\nevent: changed\ndata: \n\n"
        while time.monotonic() < until:
            time.sleep(PAUSE)
            now = probe()
            yield b": \n\n" if now == before else b"event: changed\ndata: \n\n"
            before = now
            if not going():
                yield b"event: end\ndata: \n\n"  # the browser does not ask again
                break

    return Sent(events(), "text/event-stream")

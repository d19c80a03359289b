"""An ASGI application behind the gateway's own HTTP server, in this process and without TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.doors.http import listening, server


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """The port at which it listens."""
    listener = listening.bind("127.0.0.1", 0)
    made = server.make_server(app, context=None, drain_seconds=0.0, on_drain=lambda: None)
    task = asyncio.create_task(made.serve_on(listener))
    yield listener.getsockname()[1]
    made.stop()
    await task

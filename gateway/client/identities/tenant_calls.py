"""A vendor's own calls, read from the sandbox that she joined: `tenant.json` of her folder says where, and her token.

Invariant: the token goes to the address of the join alone, and never over plain HTTP but on this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from gateway.client.errors import CLIENT_USAGE
from gateway.client.identities import join
from gateway.client.identities.identity import words
from gateway.client.transport import HttpTransport


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where the calls of a tenant are read."""

    transport: HttpTransport
    base: str
    token: str

    async def calls(self, conditions: Mapping[str, str]) -> dict[str, Any]:
        """A page of the list: `calls` and `next`. Raises `Refused`, `NoConnection`."""
        return await self._ask(f"?{urlencode(conditions)}" if conditions else "")

    async def call(self, id: str) -> dict[str, Any]:
        return await self._ask(f"/{quote(id, safe='')}")

    async def compare(self, id: str, base: bytes) -> dict[str, Any]:
        """Where a signature base differs from the one that the gateway expected."""
        return await self._ask(f"/{quote(id, safe='')}/base", base)

    async def _ask(self, target: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"}
        return await join.ask(self.transport, f"{self.base}/sandbox/api/calls{target}", headers, body)


@asynccontextmanager
async def opened(folder: Path, anchors: Path | None = None) -> AsyncIterator[Sandbox]:
    """Raises `BadUsage` for a folder that no sandbox was joined with."""
    about = join.kept(folder)
    if about is None or not {"page", "token"} <= set(about):
        raise CLIENT_USAGE(what=words("no-tenant", folder=folder))
    base = join.checked(str(about["page"]).partition("/sandbox/")[0])
    transport = HttpTransport(join.tls_of(anchors), seconds=join.SECONDS, connections=1)
    try:
        yield Sandbox(transport, base, str(about["token"]))
    finally:
        await transport.close()

"""Makes one POST outwards, to a URL that a component system named.

Nothing of this module knows feeds: a URL, a body, headers and limits give an outcome.
Invariants: redirects, cookies and proxies are not followed; of an answer only its beginning is read; the whole call
ends within its time; TLS is verified; only checked addresses are connected to (`gateway.push.addresses`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from adapters.opening import Forbidden, NotOpened, Peers, open_session
from contracts.base.errors import Failure
from contracts.base.integers import whole_number
from gateway.push.addresses import Networks
from gateway.push.errors import (
    PUSH_ADDRESS,
    PUSH_ANSWER,
    PUSH_CERTIFICATE,
    PUSH_DROPPED,
    PUSH_GONE,
    PUSH_NOT_TAKEN,
    PUSH_REDIRECT,
    PUSH_TIMEOUT,
    PUSH_UNREACHABLE,
    SUBSCRIPTION_URL,
)

AGENT: Final = "lgsp-push/1"


class Limits(NamedTuple):
    """Seconds until a connection stands, and until the answer is read; bytes of the answer."""

    connect: float = 5.0
    total: float = 15.0
    answer: int = 4096


class Outcome(NamedTuple):
    """`failure` is None if the receiver answered 2xx. `body`: the beginning of its answer. `retry_after`: seconds."""

    status: int | None
    body: bytes
    failure: Failure | None
    retry_after: float | None
    milliseconds: int

    @property
    def gone(self) -> bool:
        """The receiver wants nothing more."""
        return self.status == 410


class Poster:
    """The connections of one process; made inside its event loop. `networks` judge what a URL says."""

    def __init__(self, peers: Peers, networks: Networks) -> None:
        self._networks: Final = networks
        self._session: Final = open_session(peers, limit=128, each=8, remembered=0, added=("Content-Type",))

    async def close(self) -> None:
        await self._session.close()

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        limits: Limits = Limits(),  # noqa: B008  (immutable)
        system: str = "",
    ) -> Outcome:
        """Never raises for what the other side does. `system`: whose receiver it is; empty: of none."""
        started = time.perf_counter()
        try:
            self._networks.check_url(url)  # a setting may have changed since it was taken
            status, content, after = await self._call(url, body, headers, limits, system)
            failure = _judged(status)
        except Failure as refused:
            why = refused.facts.get("why", "") if refused.type is SUBSCRIPTION_URL else ""
            status, content, after, failure = None, b"", None, PUSH_ADDRESS(why=why) if why else refused
        except (aiohttp.ClientError, OSError, TimeoutError) as trouble:
            status, content, after, failure = None, b"", None, _failure(trouble, limits)
        return Outcome(status, content, failure, after, round((time.perf_counter() - started) * 1000))

    async def _call(
        self, url: str, body: bytes, headers: Mapping[str, str], limits: Limits, system: str
    ) -> tuple[int, bytes, float | None]:
        fields = {"Host": urlsplit(url).netloc, "User-Agent": AGENT, "Accept": "*/*", **headers}
        times = aiohttp.ClientTimeout(total=limits.total, connect=limits.connect)
        async with self._session.post(
            URL(url, encoded=True),
            data=body,
            headers=fields,
            allow_redirects=False,
            timeout=times,
            server_hostname=system or None,
        ) as response:
            content = bytearray()
            async for part in response.content.iter_any():
                content += part
                if len(content) > limits.answer:
                    response.close()
                    break
            after = whole_number(response.headers.get("Retry-After", ""), 10**6)
            return response.status, bytes(content[: limits.answer]), None if after is None else float(after)


def _judged(status: int) -> Failure | None:
    if 200 <= status < 300:
        return None
    if status == 410:
        return PUSH_GONE()
    return PUSH_REDIRECT(status=status) if 300 <= status < 400 else PUSH_NOT_TAKEN(status=status)


def _failure(trouble: BaseException, limits: Limits) -> Failure:
    """A few words for people; never the other side's own."""
    cause = trouble.os_error if isinstance(trouble, aiohttp.ClientConnectorError) else trouble
    if isinstance(trouble, Forbidden):
        return PUSH_ADDRESS(why="its name leads to an address neither public nor in `push_networks`")
    if isinstance(trouble, NotOpened):
        return PUSH_CERTIFICATE(why=trouble.why)
    if isinstance(trouble, aiohttp.ClientConnectorCertificateError):
        return PUSH_CERTIFICATE(why="its certificate is not trusted, has ended, or does not name the host")
    if isinstance(trouble, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return PUSH_CERTIFICATE(why="no common TLS parameters, or a broken handshake")
    if isinstance(trouble, aiohttp.ClientConnectorDNSError):
        return PUSH_UNREACHABLE(why="its name is not known")
    if isinstance(trouble, aiohttp.ConnectionTimeoutError):
        return PUSH_UNREACHABLE(why="no connection in time")
    if isinstance(trouble, TimeoutError):
        return PUSH_TIMEOUT(seconds=f"{limits.total:g}")
    if isinstance(trouble, aiohttp.ClientConnectorError):
        refused = isinstance(cause, ConnectionRefusedError)
        return PUSH_UNREACHABLE(why="connection refused" if refused else "connection failed")
    if isinstance(trouble, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return PUSH_ANSWER(why="not HTTP/1.1")
    return PUSH_DROPPED()

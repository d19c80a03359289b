"""`lgsp agent check`: checks an agent's configuration, keys, clock, gateway and system, and reports what to fix.

Invariant: it changes only the kept checkpoint, as every call does; it may run while the agent runs.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from contracts.base.errors import Failure
from gateway.agent.config import DAY, Config
from gateway.agent.link import Link
from gateway.agent.secret import LocalSecret
from gateway.agent.store import Store, seal_key
from gateway.client import ClientError, Identity, NoConnection, Refused
from security.keys import load_certificate

_SOON: Final = 14 * DAY
_SKEW: Final = 4.0
_CERTIFICATES: Final = ("tls.crt", "sign.crt", "encrypt.crt")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    what: str
    next: str = ""


async def look(config: Config) -> list[Check]:
    checks = [_secret(config), _state(config), *_certificates(config)]
    checks += [each async for each in _gateway(config)]
    checks += [*_queue(config), *_system(config)]
    return checks


def _failed(name: str, failure: Failure) -> Check:
    return Check(
        name, False, f"{failure.what('vi')} / {failure.what('en')}", f"{failure.next('vi')} / {failure.next('en')}"
    )


def _secret(config: Config) -> Check:
    try:
        LocalSecret.read(config.secret)
    except Failure as failure:
        return _failed("secret", failure)
    return Check("secret", True, f"{config.secret}")


def _state(config: Config) -> Check:
    if not config.state.exists():
        return Check("state", True, f"{config.state}: chưa chạy lần nào / has not run yet")
    loose = os.name == "posix" and stat.S_IMODE(config.state.stat().st_mode) & 0o077
    writable = os.access(config.state, os.W_OK)
    then = (
        f"chmod 700 {config.state}"
        if loose
        else "Chạy bằng đúng người dùng của dịch vụ / run it as the service's own user."
    )
    return Check(
        "state",
        writable and not loose,
        f"{config.state}" + (": người khác đọc được / others can read it" if loose else ""),
        then,
    )


def _certificates(config: Config) -> Iterator[Check]:
    now = time.time()
    for name in _CERTIFICATES:
        file: Path = config.identity / name
        if not file.exists():
            continue
        try:
            until = load_certificate(file.read_bytes()).not_valid_after_utc.timestamp()
        except Failure as failure:
            yield _failed(name, failure)
            continue
        days = int((until - now) // DAY)
        then = "Xin gia hạn chứng thư ngay / have it renewed now: lgsp client keygen, then install (docs/client.md)."
        yield Check(name, until - now > _SOON, f"còn {days} ngày / {days} days left", then)


async def _gateway(config: Config) -> AsyncIterator[Check]:
    """Check identity, clock, channel and token, in the order in which they fail."""
    try:
        identity = Identity.load(config.identity)
        link = Link(config, identity, 10.0, time.time)
    except ClientError as wrong:
        failure = wrong if isinstance(wrong, Failure) else None
        yield _failed("identity", failure) if failure is not None else Check("identity", False, str(wrong))
        return
    yield Check("identity", True, f"{identity.agency}/{identity.system} → {identity.gateway}")
    try:
        before = time.time()
        raw = await link.transport.send("GET", f"{identity.gateway}/audit/checkpoint", {"accept": "text/plain"}, None)
        yield Check("gateway", True, f"{identity.gateway} ({(time.time() - before) * 1000:.0f} ms)")
        skew = _skew(raw.headers.get("date", ""), before)
        words = f"lệch / differs {skew:+.0f} s" if skew is not None else "?"
        yield Check(
            "clock", skew is not None and abs(skew) <= _SKEW, words, "Đồng bộ đồng hồ (NTP) / set the clock (NTP)."
        )
        await link.client.token()
        yield Check("token", True, "được cấp / granted")
        kept = await link.client.check_log()
        yield Check("log", True, f"{kept.size if kept is not None else 0} entries, consistent")
    except NoConnection as no:
        yield Check(
            "gateway",
            False,
            f"{no.facts.get('reason', '')}",
            "Kiểm tra mạng, tường lửa, `connect` / see network, firewall, `connect`.",
        )
    except Refused as no:
        yield Check(
            "token", False, f"{no.code}: {no.what('vi')} / {no.what('en')}", f"{no.next('vi')} / {no.next('en')}"
        )
    except ClientError as wrong:
        yield _failed("gateway", wrong) if isinstance(wrong, Failure) else Check("gateway", False, str(wrong))
    finally:
        await link.close()


def _skew(date: str, now: float) -> float | None:
    """This clock against the gateway's, which states whole seconds."""
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (ValueError, TypeError):
        return None
    return now - theirs


def _queue(config: Config) -> Iterator[Check]:
    if not config.database.exists():
        return
    store = Store(config.database, seal_key(config.seal_key))
    try:
        counts = store.counts()
    finally:
        store.close()
    what = ", ".join(f"{count} {state}" for state, count in counts.items())
    yield Check(
        "queue",
        not counts["dead"] and not counts["in_doubt"],
        what,
        "lgsp agent queue; lgsp agent retry | discard | settle",
    )


def _system(config: Config) -> Iterator[Check]:
    if config.provider is None:
        return
    parts = urlsplit(config.provider.system)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), timeout=3
        ):
            pass
    except OSError as trouble:
        then = "Khởi động hệ thống nghiệp vụ, hoặc sửa `system` / start the component system, or correct `system`."
        yield Check("system", False, f"{config.provider.system}: {trouble.strerror or trouble}", then)
        return
    yield Check("system", True, config.provider.system)


def run(config: Config) -> list[Check]:
    return asyncio.run(look(config))

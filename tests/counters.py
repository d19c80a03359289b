"""What tests start, make and wait for, counted: it says what a run costs and does not depend on the machine.

Counted is what the process of the tests does itself. What its children do is not, but for the programs of the gateway
that it starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

# What is counted, and what one of it is.
KINDS: Final = {
    "instances": "an `lgsp up`",
    "programs": "a child process of any kind",
    "databases": "a database on PostgreSQL",
    "browsers": "a Chromium",
    "openssl": "an `openssl` process",
    "node": "a `node` or `npm` process",
    "rsa": "an RSA key",
    "slept": "a second in a sleep of at least half a second; shorter ones wait for something, and end with it",
    "examples": "an example of a property test, at most",
}
_LONG: Final = 0.5  # seconds
_NODE: Final = frozenset(("node", "npm", "npx"))
_counted: Final[dict[str, float]] = dict.fromkeys(KINDS, 0.0)
_before = pytest.StashKey[dict[str, float]]()
PROPERTY: Final = "cost"  # of each test in the JUnit file: JSON


def add(kind: str, number: float = 1) -> None:
    assert kind in KINDS, kind
    _counted[kind] += number


def _heard(event: str, given: tuple[Any, ...]) -> None:
    """A hook of `sys.addaudithook`: it stays for ever, and must not fail."""
    if event != "subprocess.Popen":
        return
    words = [each if isinstance(each, str) else "" for each in given[1]] if isinstance(given[1], list | tuple) else []
    command = Path(words[0]).name if words else ""
    _counted["programs"] += 1
    if command == "openssl":
        _counted["openssl"] += 1
    elif command in _NODE and not any("playwright" in word for word in words):
        _counted["node"] += 1
    elif "up" in words[2:4]:
        _counted["instances"] += 1


def _sleeping(seconds: float) -> None:
    if seconds >= _LONG:
        _counted["slept"] += seconds


def install() -> None:
    """Counts from now on, in this process."""
    sys.addaudithook(_heard)
    sleep, later, make = time.sleep, asyncio.sleep, rsa.generate_private_key

    def slept(seconds: Any) -> None:
        _sleeping(float(seconds))
        sleep(seconds)

    @wraps(later)
    async def slept_later(delay: float, result: Any = None) -> Any:
        await later(delay)  # one that is given up is none
        _sleeping(delay)
        return result

    def made(*given: Any, **more: Any) -> rsa.RSAPrivateKey:
        _counted["rsa"] += 1
        return make(*given, **more)

    time.sleep, asyncio.sleep, rsa.generate_private_key = slept, slept_later, made


def _processor() -> float:
    """Seconds of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def begin(item: pytest.Item) -> None:
    item.stash[_before] = _counted | {"processor": _processor()}
    settings = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
    if settings is not None:
        add("examples", settings.max_examples)


def end(item: pytest.Item) -> None:
    """Writes what the test cost, with the fixtures that were made for it, into the run's report."""
    before = item.stash.get(_before, None)
    if before is None:
        return
    now = _counted | {"processor": _processor()}
    cost = {kind: round(number - before[kind], 3) for kind, number in now.items() if number > before[kind]}
    item.user_properties.append((PROPERTY, json.dumps(cost)))

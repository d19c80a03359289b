"""Makes all databases that a block opens read-only, so that no reading command can write by an oversight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_active: Final[ContextVar[bool]] = ContextVar("read_only", default=False)


@contextmanager
def read_only() -> Iterator[None]:
    before = _active.set(True)
    try:
        yield
    finally:
        _active.reset(before)


@contextmanager
def writable() -> Iterator[None]:
    """Within `read_only`: what a reading command leaves behind on purpose, such as its own verdict."""
    before = _active.set(False)
    try:
        yield
    finally:
        _active.reset(before)


def is_read_only() -> bool:
    return _active.get()

"""Content codings of pages of feeds: gzip, and zstd (RFC 8878) where the interpreter or a package brings it."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from contracts.base.errors import Finding
from gateway.doors.api.errors import API_INVALID

IDENTITY: Final = "identity"
_LEVEL: Final = 1  # of gzip: most of the gain at a fifth of the cost
_ZSTD_LEVEL: Final = 3
Compress = Callable[[bytes], bytes]


@cache
def codings() -> Mapping[str, Compress]:
    """By name. `compression.zstd` came with Python 3.14; before there is the package `zstandard`."""
    known: dict[str, Compress] = {"gzip": partial(gzip.compress, compresslevel=_LEVEL, mtime=0)}
    try:
        known["zstd"] = partial(importlib.import_module("compression.zstd").compress, level=_ZSTD_LEVEL)
    except ImportError:
        try:
            known["zstd"] = partial(importlib.import_module("zstandard").compress, level=_ZSTD_LEVEL)
        except ImportError:
            pass
    return known


def coding_of(name: str) -> Compress | None:
    """None for `identity`. Raises `api.invalid` for a coding that is not there."""
    if name == IDENTITY:
        return None
    compress = codings().get(name)
    if compress is None:
        finding = Finding("query coding", "", name, "enum", ", ".join((IDENTITY, *codings())))
        raise API_INVALID(count=1, findings=[finding])
    return compress

"""Content codings of pages of feeds: gzip, and zstd (RFC 8878)."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import zstandard

IDENTITY: Final = "identity"
_LEVEL: Final = 1  # of gzip: most of the gain at a fifth of the cost
_ZSTD_LEVEL: Final = 3
Compress = Callable[[bytes], bytes]
_CODINGS: Final[Mapping[str, Compress]] = {
    "gzip": partial(gzip.compress, compresslevel=_LEVEL, mtime=0),
    "zstd": partial(zstandard.compress, level=_ZSTD_LEVEL),
}


def coding_of(name: str) -> Compress | None:
    """None for `identity`. The API's document names no other."""
    return None if name == IDENTITY else _CODINGS[name]

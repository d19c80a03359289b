"""Request targets in the one spelling in which they are signed and sent (RFC 3986, RFC 9112 section 3.2).

Invariant: what `normal` returns is sent byte for byte: no HTTP stack drops, decodes or encodes anything of it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# Characters kept in a path and query; others are percent-encoded.
_UNQUOTED: Final = "/?&=%:+,;@!$'()*~-._[]"
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNSENT: Final = re.compile("[#\ud800-\udfff]")
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*+)++")


class BadTarget(ValueError):
    """No target of a request; the text says why."""


def normal(target: str) -> str:
    """The target without an empty query, with percent-encodings in upper case. Raises `BadTarget`."""
    if not target.startswith("/"):
        raise BadTarget("/…")
    if "#" in target:
        raise BadTarget("# → %23")  # a fragment is never sent
    try:
        quoted = quote(target, safe=_UNQUOTED)
    except UnicodeEncodeError:
        raise BadTarget("UTF-8") from None
    path, _, query = quoted.partition("?")
    return _ENCODED.sub(lambda match: match[0].upper(), f"{path}?{query}" if query else path)


def is_plain(target: str) -> bool:
    """Whether the path has plain segments alone, so that nobody reads another address in it: no escapes, no `..`."""
    return _PLAIN.fullmatch(target.partition("?")[0]) is not None and _UNSENT.search(target) is None

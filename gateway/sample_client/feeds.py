"""Addresses of feeds that a single call does not read: exports, and streams of events.

Their answers come in parts, and only their head is signed (docs/wire.md, "Streams of events").
"""

from __future__ import annotations

import re
from typing import Final

from gateway.sample_client.errors import WrongCall

_EXPORT: Final = re.compile(r"/feeds/([^/?]+/v[0-9]+)/export(?:\?.*)?")
_STREAM: Final = re.compile(r"/feeds/([^?]+)\?(?:.*&)?form=events(?:&.*)?")


def refuse_parts(method: str, path: str) -> None:
    """Raises `WrongCall` for the address, with its query, of an export or a stream. It names the command to use."""
    if method == "GET" and (export := _EXPORT.fullmatch(path)):
        raise WrongCall(f"an export comes in parts, and only its head is signed; {_USE} feed-export {export[1]} FILE`")
    if method == "GET" and (stream := _STREAM.fullmatch(path)):
        contract = "CONTRACT" if stream[1] == "events" else stream[1]
        raise WrongCall(f"a stream is proved by its seals, which this sample cannot; {_USE} feed {contract} --follow`")


_USE: Final = "nothing was sent; use `lgsp client"

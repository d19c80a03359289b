"""The leaves of a feed's digests: what every reader of an event sees in the same way, whatever his grant hides.

A digest of events is the root of an RFC 6962 tree over their leaves, in the order of `sequence`. So it does not depend
on how a reader got the events: in pages, as a stream, by push or by export.
The entry of a leaf is the values of `ATTRIBUTES`, each followed by a line feed; a missing one is empty. Of the type the
part stays that every reader sees: without `:corrected`, `:recalled` or `:responded` at its end.
Invariant: no value has a line feed, so different attributes give different entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from security.transparency.merkle import Frontier, leaf_hash

ATTRIBUTES: Final = ("sequence", "id", "type", "source", "time", "lgspagency", "sequencedtime")
_KINDS: Final = (":corrected", ":recalled", ":responded")


def leaf_of(event: Mapping[str, Any]) -> bytes:
    """32 bytes. ValueError for an attribute that is no line of text."""
    parts = []
    for name in ATTRIBUTES:
        value = event.get(name, "")
        if not isinstance(value, str) or "\n" in value:
            raise ValueError(f"the attribute {name} of an event is no line of text")
        if name == "type":
            for kind in _KINDS:
                value = value.removesuffix(kind)
        parts.append(value)
    return leaf_hash("".join(f"{part}\n" for part in parts).encode())


def root_of_leaves(leaves: Iterable[bytes]) -> bytes:
    tree = Frontier()
    tree.extend(leaves)
    return tree.root

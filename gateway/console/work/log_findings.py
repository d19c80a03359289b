"""Groups the texts of a verification of the log by what they are about, so that a page says it in the reader's words.

The texts themselves are those of `lgsp audit verify`, which is in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.console.site.page import N_

_ENTRY: Final = re.compile(r"entry (?P<entry>\d+)(?: \(transfer (?P<transfer>[0-9a-f-]{36})(?:, [^)]*)?\))?: ")
_TRANSFER: Final = re.compile(r"transfer (?P<transfer>[0-9a-f-]{36}) ")
_KINDS: Final = (
    ("entries", re.compile(r"\Aentr(?:y|ies) \d"), N_("Entries of the log that were altered, moved or taken away")),
    ("checkpoints", re.compile(r"\b(?:checkpoint|signed note|tile|tree)s?\b"), N_("Checkpoints that do not agree")),
    ("transfers", re.compile(r"\Atransfer [0-9a-f-]{36} "), N_("Transfers whose rows are not what the log says")),
    ("registry", re.compile(r"\Athe registry"), N_("Rows of the registry that are not what the log says")),
    ("schema", re.compile(r"\Athe schema of the database"), N_("Objects of the database that are not this program's")),
    ("other", re.compile(r""), N_("Other findings")),
)


@dataclass(frozen=True, slots=True)
class Group:
    """`title` is a text of the catalogue. `entries` and `transfers` are those that the texts name, each once."""

    title: str
    texts: tuple[str, ...]
    entries: tuple[int, ...]
    transfers: tuple[str, ...]


def groups(texts: Iterable[str]) -> tuple[Group, ...]:
    """In a fixed order; without empty ones."""
    sorted_texts: dict[str, list[str]] = {name: [] for name, _pattern, _title in _KINDS}
    for text in texts:
        sorted_texts[next(name for name, pattern, _title in _KINDS if pattern.search(text))].append(text)
    return tuple(_group(title, sorted_texts[name]) for name, _pattern, title in _KINDS if sorted_texts[name])


def _group(title: str, texts: list[str]) -> Group:
    matched = [each for text in texts if (each := _ENTRY.match(text) or _TRANSFER.match(text)) is not None]
    entries = dict.fromkeys(int(each["entry"]) for each in matched if "entry" in each.groupdict())
    transfers = dict.fromkeys(each["transfer"] for each in matched if each["transfer"])
    return Group(title, tuple(texts), tuple(entries), tuple(transfers))

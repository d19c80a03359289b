"""The kinds of cases, read from `kinds.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from contracts.base.words import Words, read
from gateway.transfer import case_entries

OUTAGE: Final = "outage"
SUSPENSION: Final = "suspension"
TASK: Final = "task"
GATEWAY: Final = case_entries.GATEWAY
CENTRE: Final = "centre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`senders` are roles; empty: every agency. `to` is the role of the receiver if nobody is named."""

    code: str
    title: Words
    article: str
    days: int
    senders: tuple[str, ...] = ()
    to: str | None = None
    answers: bool = False
    decides: bool = False
    notice: int = 0


@cache
def kinds() -> Mapping[str, Kind]:
    """By code, in the order of the file."""
    return {
        code: Kind(
            **{
                **stated,
                "code": code,
                "title": Words(**stated["title"]),
                "senders": tuple(stated.get("senders", ())),
            }
        )
        for code, stated in read(Path(__file__).with_name("kinds.yaml")).items()
    }

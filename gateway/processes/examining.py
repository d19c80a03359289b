"""What the doctor finds, for keepers that look again and again: of their machine, and of the instance as a whole."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from contracts.base.words import Words
from gateway import doctor
from gateway.doctor.findings import Finding
from gateway.journal.database import lock_of, writing
from gateway.settings import Settings
from gateway.watch import findings
from gateway.watch.findings import Condition

# Which of several findings of a code it is: the first of these facts that it has.
_NAMES: Final = ("name", "subscription", "setting", "host", "where", "path", "file", "folder")


@dataclass(frozen=True, slots=True)
class Examining:
    settings: Settings
    engine: Engine
    clock: Callable[[], float]

    def instance(self) -> list[Condition]:
        return [_condition(each) for each in doctor.of_instance(self.settings, self.clock)]

    def machine(self) -> None:
        """Settles what is of this machine; the leading keeper tells it."""
        seen = [_condition(each) for each in doctor.of_machine(self.settings, self.clock)]
        with writing(self.engine, lock_of(self.engine)) as connection:
            findings.settle(
                connection, machine_of(self.settings.data), seen, self.clock(), self.settings.alarm_hold_seconds
            )


def machine_of(data: Path) -> str:
    """What tells a machine from others: its name, and the folder that the gateway has there."""
    return f"{socket.gethostname()}:{data}"


def _condition(each: Finding) -> Condition:
    vi, en = each.words("vi"), each.words("en")
    about = next((str(each.facts[name])[:200] for name in _NAMES if each.facts.get(name)), "")
    return Condition(
        code=each.kind.code,
        about=about,
        grave=each.kind.grave,
        what=Words(vi["what"], en["what"]),
        next=Words(vi["next"], en["next"]),
    )

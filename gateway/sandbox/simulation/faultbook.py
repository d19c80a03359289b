"""The faults that are ordered for simulated systems: by an address, or by a page through a file.

Invariant: an order is taken up once; what is left of its count is this process's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.sandbox.simulation.faults import Fault


@dataclass(slots=True)
class FaultBook:
    """`file`: where other processes leave their orders; None if there are none."""

    file: Path | None = None
    _now: dict[str, Fault] = field(default_factory=dict)
    _read: tuple[int, int] = (0, 0)
    _orders: dict[str, Any] = field(default_factory=dict)

    def take(self, system: str) -> Fault:
        """What goes wrong with this call: by the order for the system, else by the one for all (empty name)."""
        self._look()
        for name in (system, ""):
            fault = self._now.get(name)
            if fault is not None and fault.kind != "none":
                return fault.take()
        return Fault()

    def order(self, system: str, fault: Fault) -> Fault:
        self._now[system] = fault
        return fault

    def _look(self) -> None:
        if self.file is None or not self.file.is_file():
            return
        stat = self.file.stat()
        if (stat.st_mtime_ns, stat.st_ino) == self._read:
            return
        self._read = (stat.st_mtime_ns, stat.st_ino)
        orders = _orders_of(self.file)
        for system, order in orders.items():
            if order != self._orders.get(system):
                self._now[system] = Fault.read(order)
        self._orders = orders


def leave(file: Path, system: str, fault: Fault) -> None:
    """Leave an order for the process that reads this file. Each order has a number, so that it can be given again."""
    orders = _orders_of(file) if file.is_file() else {}
    number = int(orders.get(system, {}).get("number", 0)) + 1
    orders[system] = {"kind": fault.kind, "seconds": fault.seconds, "count": fault.count, "number": number}
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(orders), "utf-8")
    part.replace(file)


def ordered(file: Path) -> dict[str, Fault]:
    """The newest order for each system."""
    return {system: Fault.read(order) for system, order in _orders_of(file).items()} if file.is_file() else {}


def _orders_of(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text("utf-8"))
    return content if isinstance(content, dict) else {}

"""Writes into a file of the instance how often it ran, and under which lease."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.keeper.periodic import PeriodicTask
from gateway.transfer.lease import Lease


@dataclass(slots=True)
class Count:
    file: Path
    runs: int = 0

    async def run_once(self, lease: Lease) -> int:
        self.runs += 1
        self.file.write_text(f"{lease.holder} {lease.epoch} {self.runs}")
        return 0


TASK = PeriodicTask("runs are not counted", lambda services: Count(services.settings.data / "runs"), seconds=0.05)

"""Values that come in through a real exchange beside the doors and the desk of a test."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from gateway.indicators.definitions import Definition
from gateway.indicators.periods import Period, day_of
from gateway.indicators.store import define
from gateway.indicators.values import CONTRACT
from gateway.journal.database import writing
from gateway.registry.seals.sealing import Seal, adopt
from gateway.transfer.stages import Answered
from security.transparency import entry
from tests.console.people import Desk
from tests.exchange.house import Call, Gateway
from tests.indicators.defining import definition

THIS = Period.at("Q", day_of(time.time()))
LAST = Period("Q", THIS.number - 1)
OLD = Period("Q", THIS.number - 2)


@dataclass
class Office:
    """A desk and a door over one database, whose keyed hashes are the same."""

    desk: Desk
    sent: int = 0
    gateway: Gateway = field(init=False)

    def __post_init__(self) -> None:
        world, settings = self.desk.world, self.desk.world.services.settings
        if not settings.vault_keys.exists():
            settings.vault_keys.symlink_to(settings.data / "vault")
        hash_id = partial(entry.keyed, self.desk.desk().hash_key)
        world.services.exchange.hash_id = hash_id
        snapshot = world.services.registry.snapshot
        self.gateway = Gateway(world.engine, world.journal, world.vault, snapshot, time.time(), hash_id=hash_id)

    def define(self, *stated: Definition) -> None:
        with writing(self.desk.world.engine) as connection:
            define(connection, stated, time.time())
        adopt(self.desk.world.engine, Seal.of(self.desk.world.services.settings), time.time())

    async def send(self, value: Any, **changes: Any) -> None:
        self.sent += 1
        item = {
            "indicator": "KT-05",
            "area": "04",
            "period": str(LAST),
            "frequency": "Q",
            "unit": "tỷ đồng",
            "value": value,
            "status": "provisional",
            "note": "=SUM(A1)",
            "responsible": {"name": "Lương Thị Bích Ngọc"},
            "updated": "2026-10-05T08:30:00+07:00",
        }
        call = Call(CONTRACT, "submitValues", f"m-{self.sent}", {"values": [{**item, **changes}]}, "kinh-te")
        self.gateway.now = time.time()
        assert isinstance(await self.gateway.carry(call), Answered)

    async def seeded(self) -> None:
        """A corrected value, a missing one and one that is not due."""
        self.define(definition(first=OLD, due=0), definition("A", code="MT-04", unit="%", owner="H14.2", due=250))
        await self.send(Decimal("612.450"))
        await self.send(Decimal("1615.50"), status="final")
        self.desk.world.sequence()

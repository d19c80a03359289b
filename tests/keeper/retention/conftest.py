import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.retention.destruction import Retention
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from gateway.vault.vault import Vault
from tests.journal.databases import transfer_row

NOW = 1_795_500_000.0


@dataclass
class House:
    """A vault with a database, a clock that is handed in, and the leader's lease."""

    engine: Engine
    folder: Path
    vault: Vault
    lease: Lease
    now: float = NOW

    def retention(self, **options: Any) -> Retention:
        return Retention(
            self.engine, lock_of(self.engine), self.vault, lambda: self.now, **{"clock_is_right": True, **options}
        )

    def transfer(
        self,
        *parts: str,
        retention: str = "m24",
        state: str = "answered",
        agency: str = "H14.5",
        contract: str = "field-report/v1",
        provider: str = "do-thi",
        body: bytes = b"",
    ) -> str:
        """A transfer of now, with bodies."""
        id = new_id(int(self.now * 1000))
        row = transfer_row("door-1", id=id, state=state)._replace(
            caller_agency=agency, contract=contract, provider=provider, received=self.now
        )
        sealed = [self.vault.seal(id, part, body or f"{part} of {id}".encode(), self.now, retention) for part in parts]
        with writing(self.engine) as connection:
            connection.execute(insert(tables.transfer).values(**row._asdict()))
            connection.execute(insert(tables.vault), [each._asdict() for each in sealed])
        return id

    def opened(self, transfer: str, part: str = "request") -> bytes | str:
        """The body, or the code of why not; by a vault that remembers nothing."""
        with self.engine.connect() as connection:
            try:
                return Vault(self.folder / "keys", copies=self.vault.keys.copies.folder).open(
                    connection, f"{transfer}/{part}"
                )
            except Ours as failure:
                return failure.code

    def notes(self, what: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            found = [
                json.loads(raw)
                for raw in connection.scalars(select(tables.log_pending.c.entry).order_by(tables.log_pending.c.id))
            ]
        return [each for each in found if each.get("what") == what]

    def key_of(self, transfer: str, part: str = "request") -> str:
        with self.engine.connect() as connection:
            return str(
                connection.scalar(select(tables.vault.c.key_id).where(tables.vault.c.id == f"{transfer}/{part}"))
            )


@pytest.fixture
def house(database: Engine, tmp_path: Path) -> House:
    return house_at(database, tmp_path)


@pytest.fixture
def small_house(sqlite: Engine, tmp_path: Path) -> House:
    return house_at(sqlite, tmp_path)


def house_at(engine: Engine, folder: Path) -> House:
    with writing(engine) as connection:
        lease = leases.take(connection, "keeper-1", NOW, seconds=1e12)
    assert lease is not None
    return House(engine, folder, Vault(folder / "keys", copies=folder / "copies"), lease)

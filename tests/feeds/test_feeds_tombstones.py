"""An event outlives its body: in its place, in order, with the reason; and a body that is lost never passes for
retention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, insert

from contracts.base.times import rfc3339
from gateway.feeds import read, read_raw
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.retention.destruction import Retention
from gateway.transfer import lease as leases
from gateway.vault.vault import Vault

FEED = "incident-alert/v1"
NOW = 1_795_500_000.0
DAY = 86_400.0
LATER = NOW + 24 * 31 * DAY


def test_tombstones_stand_in_their_places(database: Engine, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys")
    with writing(database) as connection:
        for offset in range(1, 9):  # two that are due, two that are kept for longer, two later ones, two that get lost
            kept, day = ("m60", 0) if offset in (3, 4) else ("m24", 0 if offset < 5 else 200)
            body = vault.seal(f"t-{offset}", "canonical", b'{"number":%d}' % offset, NOW + day * DAY, kept)
            connection.execute(insert(tables.vault).values(**body._asdict()))
            event = json.dumps({"specversion": "1.0", "id": f"t-{offset}", "source": "urn:x", "type": "y"})
            connection.execute(
                insert(tables.feed_event).values(
                    contract=FEED,
                    offset=offset,
                    transfer=f"t-{offset}",
                    event=event,
                    body_ref=body.id,
                    sequenced=NOW + offset,
                )
            )
        connection.execute(delete(tables.vault).where(tables.vault.c.id == "t-7/canonical"))
        lost = vault.seal("t-8", "canonical", b"{}", NOW, "m120")
        connection.execute(
            tables.vault.update()
            .where(tables.vault.c.id == "t-8/canonical")
            .values(key_id=lost.key_id, sealed=lost.sealed)
        )
        lease = leases.take(connection, "keeper-1", NOW, seconds=1e12)
    assert lease is not None
    (tmp_path / "keys" / f"{lost.key_id}.key").unlink()
    vault.forget()
    Retention(database, lock_of(database), vault, lambda: LATER, clock_is_right=True).run(lease, LATER)
    seen: list[Any] = []
    after = None
    with database.connect() as connection:
        for _ in range(3):
            page, raw = read(connection, FEED, after, 3, vault=vault), read_raw(connection, FEED, after, 3, vault=vault)
            assert [json.loads(event) for event in raw.events] == list(page.events) and page.next == raw.next
            seen += page.events
            after = page.next
    assert [int(event["sequence"]) for event in seen] == list(range(1, 9))
    retention: dict[str, Any] = {"tombstone": True, "tombstonereason": "retention", "tombstonetime": rfc3339(LATER)}
    told: list[dict[str, Any]] = [
        {name: value for name, value in event.items() if name.startswith("tombstone") or name == "data"}
        for event in seen
    ]
    gone = {"tombstone": True, "tombstonereason": "lost"}
    assert told == [retention, retention, *({"data": {"number": number}} for number in (3, 4, 5, 6)), gone, gone]

"""However units are cut into batches, the journal gives what its units one after the other would give: random units
against a plain model."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select

from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import QueueRow, ReplayKey, TransferChange, VaultRow, Verdict, Write, Written
from gateway.journal.writer import Journal
from tests.journal.databases import log_row, transfer_row

KEYS = [b"a", b"b", b"c"]
TRANSFERS = ["t1", "t2", "t3", "t4"]
MESSAGES = ["m1", "m2", "m3"]
STATES = ["forwarding", "queued", "answered"]

new_transfers = st.builds(
    lambda id, message, caller: transfer_row("p", id=id, message=message, caller=caller),
    st.sampled_from(TRANSFERS),
    st.sampled_from(MESSAGES),
    st.sampled_from(["s1", "s2"]),
)
changes = st.builds(
    lambda id, before, after, process: TransferChange(id, before, process, after, owner=None),
    st.sampled_from(TRANSFERS),
    st.sampled_from(STATES),
    st.sampled_from(STATES),
    st.sampled_from([None, "p", "q"]),
)
units = st.builds(
    lambda replay, what, log, vault, queue: Write(
        replay=ReplayKey(replay, 1.0) if replay else None,
        transfer=what if what is not None and not isinstance(what, TransferChange) else None,
        change=what if isinstance(what, TransferChange) else None,
        log=tuple(log_row(id, phase) for id, phase in log),
        vault=tuple(VaultRow(id, "k", 1, b"x") for id in vault),
        queue=QueueRow(queue, "do-thi", "b", 1.0) if queue else None,
    ),
    st.none() | st.sampled_from(KEYS),
    st.none() | new_transfers | changes,
    st.lists(
        st.tuples(st.sampled_from(TRANSFERS), st.sampled_from(["intent", "outcome", "x", "y", "z"])),
        max_size=2,
        unique=True,
    ),
    st.lists(st.sampled_from(["v1", "v2", "v3", "v4", "v5", "v6"]), max_size=1),
    st.none() | st.sampled_from(TRANSFERS),
)
batches = st.lists(st.lists(units, min_size=1, max_size=12), min_size=1, max_size=4)


@dataclass
class Model:
    replay: set[bytes] = field(default_factory=set)
    transfers: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: set[tuple[str, str]] = field(default_factory=set)
    vault: set[str] = field(default_factory=set)
    queue: set[str] = field(default_factory=set)

    def apply(self, unit: Write) -> str:
        if unit.replay and unit.replay.key in self.replay:
            return Verdict.REPLAYED
        if (row := unit.transfer) is not None:
            key = (row.caller_system, row.message_id)
            if row.id in self.transfers or any(
                key == (one["caller"], one["message"]) for one in self.transfers.values()
            ):
                if unit.replay:
                    self.replay.add(unit.replay.key)
                return Verdict.DUPLICATE
        if (step := unit.change) is not None:
            standing = self.transfers.get(step.id)
            if standing is None or standing["state"] != step.before or step.process not in (None, standing["process"]):
                return Verdict.FENCED
        if any((entry.transfer, entry.phase) in self.log for entry in unit.log) or any(
            body.id in self.vault for body in unit.vault
        ):
            return "error"
        if unit.replay:
            self.replay.add(unit.replay.key)
        if row is not None:
            self.transfers[row.id] = {
                "caller": row.caller_system,
                "message": row.message_id,
                "state": row.state,
                "process": row.process,
            }
        if step is not None:
            self.transfers[step.id]["state"] = step.state
        self.log |= {(entry.transfer, entry.phase) for entry in unit.log}
        self.vault |= {body.id for body in unit.vault}
        if unit.queue:
            self.queue.add(unit.queue.transfer)
        return Verdict.COMMITTED


def read(engine: Engine) -> Model:
    t = tables
    with engine.connect() as connection:
        return Model(
            set(connection.execute(select(t.replay.c.key)).scalars()),
            {
                row.id: {
                    "caller": row.caller_system,
                    "message": row.message_id,
                    "state": row.state,
                    "process": row.process,
                }
                for row in connection.execute(select(t.transfer))
            },
            {(row.transfer, row.phase) for row in connection.execute(select(t.log_pending))},
            set(connection.execute(select(t.vault.c.id)).scalars()),
            set(connection.execute(select(t.queue.c.transfer)).scalars()),
        )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches)
def test_batches_equal_the_model(database: Engine, batches: list[list[Write]]) -> None:
    with writing(database) as connection:
        for table in (tables.replay, tables.transfer, tables.log_pending, tables.vault, tables.queue):
            connection.execute(delete(table))
    journal = Journal(database, lock_of(database), "p")
    journal.start()
    try:
        model = Model()
        for batch in batches:
            expected = [model.apply(unit) for unit in batch]
            results = journal._write(batch)
            found = [one.verdict if isinstance(one, Written) else "error" for one in results]
            assert found == expected
            for unit, one in zip(batch, results, strict=True):
                if isinstance(one, Written) and one.verdict is Verdict.DUPLICATE:
                    assert one.existing is not None and unit.transfer is not None
                    same = (one.existing["caller_system"], one.existing["message_id"]) == (
                        unit.transfer.caller_system,
                        unit.transfer.message_id,
                    )
                    assert same or one.existing["id"] == unit.transfer.id
        assert read(database) == model
    finally:
        with writing(database) as connection:
            connection.execute(delete(tables.process))
        journal.stop()

"""Any sequence of alerts, updates and cancellations gives the state of the plain model (`keymodel`)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select

from contracts.base.errors import Theirs
from gateway.audit.verify.complete import check_complete
from gateway.feeds import keys
from gateway.feeds.keys import Party
from gateway.feeds.rekeying import Rekeying
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import is_sound
from gateway.transfer.stages import Answered
from tests.exchange.house import Call, Gateway, house, sample
from tests.feeds.keymodel import Model, Step, steps
from tests.registry.making import contracts
from tests.size import examples

ALERTS = "incident-alert/v1"
CODES = {"message.key-taken": "key", "message.reference": "reference"}
SYSTEMS = {"A": "canh-bao", "B": "bao-chay"}
Stands = dict[str, tuple[str, str]]


def told(rows: dict[str, KeyRow]) -> Stands:
    return {key.rpartition(",")[2]: (row.transfer, row.state) for key, row in rows.items()}


def expected(model: Model) -> Stands:
    return {name: (transfer, stands) for name, (_, transfer, stands) in model.state.items()}


@given(st.randoms(use_true_random=False))
def test_any_sequence_gives_the_state_of_the_plain_model(chance: random.Random) -> None:
    compiled, model, rows = contracts()[ALERTS], Model(), dict[str, KeyRow]()
    operation, alert = compiled.contract.operations["submitAlert"], sample(compiled, "Alert")
    for number, step in enumerate(steps(chance, 40)):
        message = step.message(alert)
        claim = keys.claim(compiled.contract, operation, message, Party(step.agency, SYSTEMS[step.agency]), str)
        assert claim is not None
        try:
            settled = keys.settle(claim, rows, f"t-{number}")
        except Theirs as failure:
            outcome = CODES[failure.code]
        else:
            outcome = "repeat" if settled.repeats else "new"
            for row in settled.rows:
                before = rows.get(row.key)
                assert row.previous == (None if before is None else before.changed) and is_sound(row, str)
                rows[row.key] = row
        assert outcome == model.take(step, f"t-{number}"), step
        assert told(rows) == expected(model)


def stored(engine: Engine) -> Stands:
    table = tables.feed_key
    with engine.connect() as connection:
        rows = [KeyRow(*row) for row in connection.execute(select(*[table.c[name] for name in KeyRow._fields]))]
    assert all(is_sound(row, str) for row in rows)
    return told({row.key: row for row in rows})


def play(gateway: Gateway, model: Model, sequence: list[Step], *, bare: bool = False, first: int = 0) -> None:
    """Carries the sequence, and holds each outcome against the model. `bare`: by a contract without keys, if taken."""
    alert = sample(contracts()[ALERTS], "Alert")
    for number, step in enumerate(sequence, first):
        attempt = Model(dict(model.state))
        wanted = attempt.take(step, "?")
        if bare and wanted != "new":
            continue
        call = Call(ALERTS, "submitAlert", f"m-{number}", step.message(alert), SYSTEMS[step.agency], bare)
        outcome = asyncio.run(gateway.carry(call))
        if isinstance(outcome, Answered):
            assert wanted == ("repeat" if outcome.receipt.transfer != outcome.requested.received.transfer else "new")
            model.take(step, outcome.receipt.transfer)
        else:
            assert CODES[outcome.failure.code] == wanted


def sequence_of(gateway: Gateway) -> None:
    """Moves what waits to the feed, as the sequencer does."""
    waiting, event = tables.feed_pending, tables.feed_event
    with gateway.engine.begin() as connection:
        last = connection.scalar(select(event.c.offset).order_by(event.c.offset.desc()).limit(1)) or 0
        for offset, row in enumerate(connection.execute(select(waiting).order_by(waiting.c.id)).all(), last + 1):
            values = {name: getattr(row, name) for name in ("contract", "transfer", "event", "body_ref")}
            connection.execute(event.insert().values(**values, offset=offset, sequenced=float(offset)))
        connection.execute(delete(waiting))


def test_the_database_holds_the_state_of_the_model(database: Engine, tmp_path: Path) -> None:
    with house(database, tmp_path) as gateway:
        model = Model()
        play(gateway, model, steps(random.Random(7), examples(40)))
        assert stored(database) == expected(model)
        none_can_be_deleted(database)


def none_can_be_deleted(database: Engine) -> None:
    """`audit verify` counts the rows: where one is gone, its key could be used again."""
    table = tables.feed_key
    with database.connect() as inside:  # never committed
        keys = inside.scalars(select(table.c.key)).all()
        assert keys and check_complete(inside, hash_id=str).wrong == ()
        for number, key in enumerate(keys[:3], 1):
            inside.execute(delete(table).where(table.c.key == key))
            (found,) = (each for each in check_complete(inside, hash_id=str).wrong if "business keys of" in each)
            assert found.endswith(f"by the log there are {len(keys)}, in the database {len(keys) - number}")


def test_older_events_are_taken_up_as_the_model_says(database: Engine, tmp_path: Path) -> None:
    """Some before the contract declared its keys, some after; and later ones while the older ones are not taken up."""
    compiled, chance = contracts()[ALERTS], random.Random(11)
    with house(database, tmp_path) as gateway:
        model = Model()
        play(gateway, model, steps(chance, examples(40)), bare=True)
        assert stored(database) == {}
        sequence_of(gateway)
        rekeying = Rekeying(database, None, gateway.vault, str)

        def take_up() -> int:
            return rekeying.step([compiled], lambda digest: (_ for _ in ()).throw(LookupError(digest)), lambda _: None)

        assert take_up() > 0 and take_up() == 0
        assert stored(database) == expected(model)
        play(gateway, model, steps(chance, examples(30)), first=1000)
        assert stored(database) == expected(model)
        sequence_of(gateway)
        with database.begin() as connection:
            connection.execute(delete(tables.feed_keyed))
        take_up()
        assert stored(database) == expected(model), "what is taken up again changes nothing"
        none_can_be_deleted(database)
        with database.begin() as connection:
            connection.execute(delete(tables.feed_key))
            connection.execute(delete(tables.feed_keyed))
        take_up()
        assert stored(database) == expected(model), "the table is made again from the feed alone"

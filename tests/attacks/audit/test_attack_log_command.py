"""What an auditor types: `lgsp audit verify` tells of each kind of attack, by its exit code and in one object for
programs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from gateway.journal import log_checks
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import restore_lock
from gateway.settings import Settings
from gateway.settings.saving import save
from tests import commandline
from tests.attacks.audit.insider import ORIGIN, Gateway, commit, entered, handed_in, rewrite
from tests.attacks.audit.test_attack_log_history import Copy


def verify(gateway: Gateway, *options: str, origin: str = ORIGIN) -> tuple[int, dict[str, Any]]:
    save(replace(Settings(gateway.folder), origin=origin))
    words = ["audit", "verify", "--data", str(gateway.folder), "--vkey", gateway.key.vkey, "--json", *options]
    done = commandline.lgsp(*words)
    return done.code, json.loads(done.out)


@pytest.mark.attack("audit log: rows that the log does not account for")
@pytest.mark.parametrize(
    "attack", ["none", "an entry edited", "a pending entry deleted", "rewritten with the log's own key"]
)
def test_audit_verify_tells(copy: Copy, attack: str) -> None:
    gateway = copy()
    kept = gateway.folder / "kept.checkpoint"
    kept.write_text(gateway.note, "utf-8")
    commit(gateway.engine, [handed_in("door-1")])
    with writing(gateway.engine) as connection:
        if attack == "an entry edited":
            connection.execute(update(tables.log_entry).where(tables.log_entry.c.idx == 7).values(entry=b"{}"))
        elif attack == "a pending entry deleted":
            connection.execute(delete(tables.log_pending).where(tables.log_pending.c.phase == "outcome"))
        elif attack != "none":
            log = entered(connection)
            note = rewrite(connection, [*log[:7], log[9], *log[8:9], log[7], *log[10:]], gateway.key)
            assert note is not None
            gateway.file.path.write_text(note, "utf-8")
    if attack in ("none", "a pending entry deleted"):
        gateway.sequence()
    code, told = verify(gateway, "--checkpoint", str(kept))
    if attack == "none":
        assert code == 0 and told["ok"] and told["first_wrong"] is None
        return
    assert code == 1 and not told["ok"]
    finding = {
        "an entry edited": "its bytes are not those that were logged",
        "a pending entry deleted": "it has ended, and the log has no outcome of it",
        "rewritten with the log's own key": "its root is not that of the first 600 entries",
    }[attack]
    assert finding in json.dumps(told), told


def test_a_wrong_question_is_not_a_wrong_log(copy: Copy) -> None:
    gateway = copy()
    torn = gateway.folder / "torn.checkpoint"
    torn.write_text("no note", "utf-8")
    wrong = [("--from-index", "30", "--to-index", "20"), ("--to-index", "600"), ("--checkpoint", str(torn))]
    told = [verify(gateway, *options) for options in wrong]
    assert [(code, found["error"]["code"]) for code, found in told] == [
        (2, "bad-range"),
        (2, "bad-range"),
        (2, "bad-checkpoint"),
    ], told
    assert verify(gateway, "--to-index", "599")[0] == 0


def left(gateway: Gateway) -> tuple[bool | None, int]:
    """What the console shows of the last verification, and how many notes of verifications the log has."""
    table = tables.log_pending.c
    with gateway.engine.connect() as connection:
        found = log_checks.verdict(connection)
        notes = connection.scalars(select(table.phase).where(table.phase == log_checks.KIND)).all()
    return None if found is None else found.ok, len(notes)


def test_the_verdict_is_left_for_the_console_and_a_lack_of_it_is_told(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer runs it on the host: what it finds is the red banner of every page."""
    gateway = copy()
    assert verify(gateway, "--no-record")[1].get("recorded") is None and left(gateway) == (None, 0)
    code, told = verify(gateway)
    assert (code, told["recorded"]) == (0, True) and left(gateway) == (True, 1)
    with writing(gateway.engine) as connection:
        connection.execute(update(tables.log_entry).where(tables.log_entry.c.idx == 7).values(entry=b"{}"))
    code, told = verify(gateway)
    assert (code, told["recorded"]) == (1, True) and left(gateway) == (False, 2)
    # A range that agrees says nothing of the rest.
    assert verify(gateway, "--from-index", "256", "--to-index", "511")[0] == 0 and left(gateway) == (False, 2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: 54_321)
        code, told = verify(gateway)
        assert (code, told["recorded"]) == (1, False) and "may write there" in told["not_recorded"]
    with writing(gateway.engine) as connection:
        restore_lock.hold(connection, 0.0, {})
    done = commandline.lgsp("audit", "verify", "--data", str(gateway.folder), "--vkey", gateway.key.vkey)
    assert done.code == 1 and "NOT RECORDED" in done.out and "not confirmed" in done.out
    assert left(gateway) == (False, 2)


def test_a_database_that_cannot_be_written_is_told(copy: Copy) -> None:
    gateway = copy()
    with writing(gateway.engine) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON log_pending BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    code, told = verify(gateway)
    assert (code, told["recorded"]) == (1, False) and "no room" in told["not_recorded"]
    assert left(gateway) == (None, 0), "the job goes with its note"

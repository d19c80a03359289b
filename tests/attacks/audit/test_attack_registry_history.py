"""An insider who edits the history of the registry, so that a past decision looks right or wrong: `verify` names the
version, and no question about the past is answered from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.errors import Failure
from gateway.audit.verify.registered import check_registered
from gateway.journal.database import snapshot
from gateway.journal.schema import tables
from gateway.registry import history
from gateway.registry.changes import granting
from gateway.registry.seals.rows import digest_of_text
from gateway.registry.seals.sealing import accept, changing
from tests.attacks.audit import instances
from tests.attacks.audit.instances import Instance
from tests.journal import databases
from tests.registry.making import NOW
from tests.registry.moments import snapshot_at

GRANT = "G-0006"
TABLE = tables.registry_history
OF = (TABLE.c.of_table == "access_grant", TABLE.c.key == GRANT)


@pytest.fixture(params=databases.KINDS)
def instance(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Iterator[Instance]:
    """G-0006 was in force, and is revoked."""
    made = instances.copy(request.param, base, tmp_path / "data")
    with changing(made.engine, made.seal) as act:
        granting.revoke(act.connection, GRANT, NOW + 60)
        act.note("access", {}, NOW + 60)
    yield made
    made.engine.dispose()


def edited(inside: Connection) -> str:
    """The ward saw less than it did; the digest fits."""
    content = json.loads(str(inside.scalar(select(TABLE.c.content).where(*OF).order_by(TABLE.c.revision).limit(1))))
    content["body"] = content["body"].replace('"!responsible"', '"!responsible","!value"')
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    values = {"content": text, "digest": digest_of_text(text)}
    inside.execute(update(TABLE).where(*OF, TABLE.c.until.is_not(None)).values(values))
    return "altered"


def removed(inside: Connection) -> str:
    """It never was."""
    inside.execute(delete(TABLE).where(*OF))
    return "missing"


def added(inside: Connection) -> str:
    """A denial stood in the way."""
    row = dict(inside.execute(select(TABLE).where(*OF).order_by(TABLE.c.revision).limit(1)).mappings().one())
    inside.execute(insert(TABLE).values(row | {"key": "G-0999", "until": None}))
    return "added"


def moved(inside: Connection) -> str:
    """It was revoked an hour earlier."""
    inside.execute(update(TABLE).where(*OF, TABLE.c.until.is_(None)).values(since=NOW - 3600))
    return "entry, time, kind or actor are not those of the log"


def longer(inside: Connection) -> str:
    """It was revoked later: its first version goes on."""
    inside.execute(update(TABLE).where(*OF, TABLE.c.until.is_not(None)).values(until=99))
    inside.execute(delete(TABLE).where(*OF, TABLE.c.until.is_(None)))
    return "it ends at 99, its next version is none"


EDITS: list[Callable[[Connection], str]] = [edited, removed, added, moved, longer]


@pytest.mark.attack("registry: its history edited")
def test_an_edited_history_is_named_and_not_answered_from(instance: Instance) -> None:
    """Each edit, one after the other, each taken back."""
    with snapshot(instance.engine) as connection:
        assert check_registered(connection, instance.seal).wrong == ()
        then = snapshot_at(connection, NOW + 30)
        assert then.decide("H14.7", "indicator/v1", "getValue", NOW + 30).allowed
        later = snapshot_at(connection, NOW + 90).decide("H14.7", "indicator/v1", "getValue", NOW + 90)
        assert not later.allowed
    for edit in EDITS:
        with instance.engine.connect() as inside, inside.begin() as taken_back:
            how = edit(inside)
            wrong = check_registered(inside, instance.seal).wrong
            key = "G-0999" if edit is added else GRANT
            named = [each for each in wrong if f"the registry's history, access_grant {key} of revision " in each]
            assert any(how in each for each in named), (edit.__name__, wrong)
            with pytest.raises(Failure) as refused:
                snapshot_at(inside, NOW + 90 if edit is longer else NOW + 30)
            assert refused.value.code == "registry.altered", edit.__name__
            taken_back.rollback()


@pytest.mark.attack("registry: its history edited")
def test_rows_that_are_not_the_newest_versions_are_named(instance: Instance) -> None:
    """A revoked grant put back into the table."""
    with instance.engine.connect() as inside, inside.begin() as taken_back:
        inside.execute(update(tables.access_grant).where(tables.access_grant.c.id == GRANT).values(state="active"))
        wrong = check_registered(inside, instance.seal).wrong
        assert f"the registry, access_grant {GRANT}: altered, as against its newest version in the history" in wrong
        taken_back.rollback()


def test_rows_that_somebody_accepted_are_versions_and_the_accepting_is_visible(instance: Instance) -> None:
    with instance.engine.connect() as inside, inside.begin():
        inside.execute(update(tables.access_grant).where(tables.access_grant.c.id == GRANT).values(state="suspended"))
    assert accept(instance.engine, instance.seal, "checked", "an operator", NOW + 120)
    with snapshot(instance.engine) as connection:
        assert check_registered(connection, instance.seal).wrong == ()
        last = history.grant_versions(connection, GRANT)[-1]
        assert (last.what, last.actor, last.state) == ("registry-accepted", "an operator", "suspended")
        assert [each.state for each in history.grant_versions(connection, GRANT)][-2] == "revoked"

"""Somebody gets another agency's drop folder: the files in it count as his, and their reports come to him."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes.content import Subject, in_force
from gateway.registry.changes.dependencies import waits_for
from gateway.registry.changes.proposals import approve, open_proposal, proposals
from gateway.registry.snapshot import load_snapshot
from security.grants import approvals
from security.pki.authority import private_pem
from tests.registry.making import NOW, OFFICERS, PROVINCE, filled, province

ATTACK = pytest.mark.attack("access: by a drop folder")
OWNER, TAKER = Subject("system", "so-lieu"), Subject("system", "thuc-phan-tep")
FOLDER = "so-lieu"


def document(*, owner: str | None, taker: str | None = None) -> Any:
    """The folders of the two systems. Without `owner` the document lacks that system."""
    raw = yaml.safe_load(PROVINCE)
    system = next(each for each in raw["systems"] if each["id"] == OWNER.id)
    if taker is not None:
        new = {**system, "id": TAKER.id, "agency": "H14.21", "endpoint": {**system["endpoint"], "folder": taker}}
        raw["systems"].append(new)
    if owner is None:
        raw["systems"].remove(system)
    else:
        system["endpoint"]["folder"] = owner
    return province(yaml.safe_dump(raw, allow_unicode=True))


@ATTACK
@pytest.mark.parametrize("owner", ["elsewhere", None], ids=["moved", "suspended"])
def test_a_folder_that_another_system_has_is_not_shared_however_signatures_come(
    sqlite: Engine, owner: str | None
) -> None:
    """The officers have signed that the ward gets the folder, and not yet that the department gives it up."""
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:

        def sign(subject: Subject) -> None:
            for name, key in OFFICERS.items():
                body = open_proposal(connection, subject).body.encode()
                approve(connection, subject, name, approvals.approve(body, name, private_pem(key)), NOW)

        def holders() -> set[str]:
            systems = load_snapshot(connection).systems.values()
            return {each.id for each in systems if each.drop is not None and each.drop.folder == FOLDER}

        store.apply(document(owner=owner, taker=FOLDER), connection, NOW)
        assert holders() == {OWNER.id}, "nobody signed anything: the process of dropped files opens no other folder"
        sign(TAKER)
        waiting = proposals(connection, "waiting")
        assert holders() == {OWNER.id} and waits_for(
            waiting[TAKER].subject, waiting[TAKER].content, waiting, in_force(connection)
        ) == [OWNER]
        if owner is None:
            store.apply(document(owner="elsewhere", taker=FOLDER), connection, NOW)
        sign(OWNER)
        assert holders() == {TAKER.id} and not proposals(connection, "waiting")

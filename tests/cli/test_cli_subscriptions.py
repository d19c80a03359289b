"""`lgsp feed subscriptions` and `lgsp feed rotate-key` on an instance: what waits, acts with a reason, a new key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.push import operating, store
from gateway.push.records import Cause
from gateway.push.store import By, Wanted
from gateway.settings.saving import save
from tests import commandline
from tests.attacks.audit import instances
from tests.attacks.audit.instances import Instance

WHY = "its agency asked for it by telephone"


@pytest.fixture
def instance(base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = instances.copy("sqlite", base, tmp_path / "data")
    save(replace(made.settings, kind="sandbox"))  # where a person needs no key of his own
    yield made
    made.engine.dispose()


def lgsp(instance: Instance, *words: str, code: int = 0) -> Any:
    done = commandline.lgsp("feed", *words, "--json", "--data", str(instance.settings.data))
    assert done.code == code, done
    return json.loads(done.out)


def test_an_operator_sees_and_decides(instance: Instance) -> None:
    assert lgsp(instance, "subscriptions", "list")["subscriptions"] == []
    event = {"contract": "x/v1", "event": "{}", "body_ref": "b", "transfer": "t"}
    wanted = Wanted("dieu-hanh", "x/v1", "https://receiver.example/hook?secret=7", "webhooks", 100, 0)
    with writing(instance.engine) as connection:
        connection.execute(insert(tables.feed_event).values(**event, offset=1, sequenced=time.time()))
        by = By("H14.0/dieu-hanh", time.time(), Cause.SUBSCRIBER)
        made, _ = store.create(connection, wanted, by, operating.hashing(instance.settings))
    (listed,) = lgsp(instance, "subscriptions", "list")["subscriptions"]
    assert (listed["id"], listed["waiting"], listed["altered"]) == (made.id, 1, False) and "secret" not in str(listed)
    assert (
        lgsp(instance, "subscriptions", "pause", made.id, "--reason", "short", code=2)["error"]["code"] == "no-reason"
    )
    for act, state in (("pause", "paused"), ("resume", "unverified"), ("end", "ended")):
        assert lgsp(instance, "subscriptions", act, made.id, "--reason", WHY)["state"] == state
    refused = lgsp(instance, "subscriptions", "resume", made.id, "--reason", WHY, code=1)
    assert refused["error"]["code"] == "subscription.ended"
    assert lgsp(instance, "subscriptions", "show", made.id)["subscription"]["cause"] == "operator"
    first, second = (lgsp(instance, "rotate-key", "--reason", WHY) for _ in range(2))
    assert (first["number"], second["number"]) == (1, 2) and first["public"] != second["public"]

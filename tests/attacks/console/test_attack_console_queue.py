"""Attacks on the pages of the queue and of the systems: other people's forms, strings of others, other addresses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select, update

from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.connection_tests import KIND
from tests.console.people import Desk
from tests.console.test_queue import office as office
from tests.delivery.posting import Post
from tests.delivery.posting import post as post
from tests.delivery.test_bulk import waiting
from tests.delivery.test_decisions import doubtful

REASON = "the provider was asked by telephone"
SCRIPT = '"><script>alert(1)</script>'
ESCAPED = "&lt;script&gt;"


def acts() -> list[str]:
    return [
        each.path for each in pages() if each.method == "POST" and each.path.startswith(("/queue", "/systems", "/log"))
    ]


@pytest.mark.attack("forged request")
@pytest.mark.parametrize("path", acts())
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # no form comes as far as the database
async def test_no_act_without_this_sites_own_form(office: Desk, post: Post, path: str) -> None:
    transfer = await doubtful(post)
    minh = await office.signed_in("minh", Role.OPERATOR, Role.OFFICER)
    target = "/console" + path.format(transfer=transfer, act="done", system="truong-ha", job="x", how="stop")
    fields: dict[str, Any] = {"reason": REASON, "reason_vi": "a", "reason_en": "b", "code": "keyCompromise"}
    before = notes(post)
    assert (await minh.send(target, fields)).status == 403
    assert (await minh.send(target, {**fields, "csrf": "0" * 64})).status == 403
    assert (await minh.send(target, fields, origin="https://elsewhere.example")).status == 403
    await minh.get(target + "?" + urlencode(fields))
    assert notes(post) == before and post.row(transfer)["state"] == "in-doubt"
    assert (await minh.post(target, **fields)).status != 403  # the same with the form's token


def notes(post: Post) -> int:
    with post.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.log_pending)).scalar_one())


@pytest.mark.attack("script in a name")
async def test_strings_of_others_are_text(office: Desk, post: Post) -> None:
    transfer = await doubtful(post)
    (other,) = await waiting(post, 1)
    with writing(post.engine) as connection:  # as a component system, or an insider, may have chosen them
        values = {"caller_system": SCRIPT, "operation": SCRIPT, "provider": SCRIPT}
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(**values))
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == other).values(last_failure=SCRIPT))
        facts = {"why": SCRIPT, "ms": 1, "name": "tls", "state": "bad"}
        jobs.add(connection, KIND, "truong-ha", (SCRIPT, SCRIPT), office.now(), steps=[facts])
        jobs.add(connection, "log-check", "x", (SCRIPT, ""), office.now(), task=SCRIPT)
    minh = await office.signed_in("minh", Role.OPERATOR)
    for target in (
        "/console/queue",
        "/console/queue?state=waiting",
        f"/console/queue/{transfer}",
        f"/console/queue/{other}",
        "/console/queue/bulk?state=waiting",
        "/console/systems/truong-ha",
        "/console/log",
        f"/console/queue?state=waiting&failure={SCRIPT}&provider={SCRIPT}",
    ):
        page = (await minh.get(target)).body.decode()
        assert "<script>alert" not in page and ESCAPED in page, target


@pytest.mark.attack("request forgery by the server")
async def test_no_address_of_a_form_is_called(office: Desk, post: Post) -> None:
    minh = await office.signed_in("minh", Role.OPERATOR)
    for given in ({"url": "http://169.254.169.254/"}, {"address": "127.0.0.1:22"}, {"system": "do-thi"}):
        assert (await minh.post("/console/systems/truong-ha/test", **given)).status == 303
    with post.engine.connect() as connection:
        assert {(job.subject, str(job.facts)) for job in jobs.newest(connection, KIND)} == {
            ("truong-ha", "{'steps': []}")
        }
    assert (await minh.post("/console/systems/169.254.169.254/test")).status == 404

"""What a document proposes, at the command line: what waits, what an officer reads and signs, what came into force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.audit.search.facts import facts_of
from gateway.journal.schema import tables
from gateway.registry.snapshot import load_snapshot
from gateway.settings.saving import save
from security.pki.authority import private_pem
from tests import commandline
from tests.attacks.audit import instances
from tests.attacks.audit.instances import Instance
from tests.registry.making import OFFICERS, PROVINCE

ROUTE = "route/field-report/v1/createRequest"
FALLBACK = "    operation: createRequest\n    system: do-thi"
FIRST, SECOND = OFFICERS


@pytest.fixture
def instance(base: Path, tmp_path: Path) -> Iterator[Instance]:
    made = instances.copy("sqlite", base, tmp_path / "data")
    (tmp_path / "tinh.yaml").write_text(PROVINCE.replace(FALLBACK, FALLBACK.replace("do-thi", "truong-ha")), "utf-8")
    for name, key in OFFICERS.items():
        (tmp_path / f"{name}.key").write_bytes(private_pem(key))
    yield made
    made.engine.dispose()


def sandbox(instance: Instance) -> None:
    """The officers' keys are in its folder, as in a sandbox."""
    settings = replace(instance.settings, kind="sandbox")
    save(settings)
    for name, key in OFFICERS.items():
        folder = settings.identities / name
        folder.mkdir(parents=True)
        (folder / "officer.key").write_bytes(private_pem(key))


def lgsp(instance: Instance, *words: str) -> str:
    done = commandline.lgsp(*words, "--data", str(instance.settings.data))
    assert done.code == 0, done
    return done.out


def told(instance: Instance, *words: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(lgsp(instance, *words, "--json"))
    return result


def handles(instance: Instance) -> str | None:
    with instance.engine.connect() as connection:
        return load_snapshot(connection).route("field-report/v1", "createRequest", {})


def entries(instance: Instance, phase: str) -> list[dict[str, Any]]:
    table = tables.log_pending
    query = select(table.c.entry).where(table.c.phase == phase).order_by(table.c.id)
    with instance.engine.connect() as connection:
        return [json.loads(bytes(entry))["facts"] for entry in connection.scalars(query)]


def test_a_document_waits_for_officers_who_read_and_sign(instance: Instance, tmp_path: Path) -> None:
    applied = told(instance, "registry", "apply", str(tmp_path / "tinh.yaml"), *instance.operator)
    assert applied["changes"] == [
        {"what": "route", "id": "field-report/v1 createRequest", "how": "proposed", "fields": ["table"]}
    ]
    (waiting,) = applied["waiting"]
    assert (waiting["subject"], waiting["signed_by"], waiting["edition"]) == (ROUTE, [], 2) and not applied["in_force"]
    again = lgsp(instance, "registry", "apply", str(tmp_path / "tinh.yaml"), *instance.operator)
    for text in (again, lgsp(instance, "access", "list")):
        assert f"lgsp access show {ROUTE}" in text and "0 of 2 signatures / chờ, 0 trên 2 chữ ký" in text
    assert entries(instance, "registry")[-1]["waiting"] == applied["waiting"]

    read = lgsp(instance, "access", "show", ROUTE)
    for words in (
        "+ truong-ha of People's Committee of Truong Ha commune (H14.22) receives field-report/v1 createRequest",
        "truong-ha của Ủy ban nhân dân xã Trường Hà (H14.22) nhận field-report/v1 createRequest",
        "- do-thi of Department of Construction (H14.3) receives",
        "by grant G-0013",
        "theo quyền G-0012",
        "phone [basic]",
        "at https://localhost:1",
        '"system": "do-thi"}, {"when": ',
        '"agencies": ["H14.21"]}] -> [',
    ):
        assert words in read, (words, read)

    canonical = tmp_path / "canonical.json"
    canonical.write_text(lgsp(instance, "access", "show", ROUTE, "--canonical"), "utf-8")
    signed = commandline.lgsp(
        "access", "sign", str(canonical), "--officer", FIRST, "--key", str(tmp_path / f"{FIRST}.key")
    )
    approval = ("access", "approve", ROUTE, "--officer", FIRST, "--signature", signed.out.strip())
    first = told(instance, *approval, *instance.operator)
    assert first["waiting"][0]["signed_by"] == [FIRST] and handles(instance) == "do-thi"
    second = told(instance, "access", "approve", ROUTE, "--officer", SECOND, "--key", str(tmp_path / f"{SECOND}.key"))
    (effect,) = second["in_force"]
    assert effect["signed_by"] == [FIRST, SECOND] and handles(instance) == "truong-ha" and not second["waiting"]
    entry = entries(instance, "access")[-1]
    assert entry["in_force"] == [effect] and entry["approval"]["officer"] == SECOND
    assert entry["changes"][-1]["how"] == "changed"
    value = {"kind": "note", "what": "access", "actor": "truc-ban", "facts": entry}
    detail = facts_of(value, "", "access", {}).detail
    of = "route field-report/v1 createRequest"
    assert detail and detail.startswith(
        f"{ROUTE} in force, signed by {FIRST} and {SECOND}; {of}: approved by {SECOND}; {of}: changed; "
    )
    shown = told(instance, "access", "show", ROUTE)
    assert shown["standing"] == "in force" and [each["holds"] for each in shown["approvals"]] == [True, True]
    found = json.loads(commandline.lgsp("audit", "verify", "--data", str(instance.settings.data), "--json").out or "{}")
    assert found["ok"], found


def test_the_officers_of_a_sandbox_sign_at_once(instance: Instance, tmp_path: Path) -> None:
    sandbox(instance)
    waiting = told(instance, "registry", "apply", str(tmp_path / "tinh.yaml"), "--no-sign")
    assert waiting["waiting"] and handles(instance) == "do-thi"
    text = lgsp(instance, "registry", "apply", str(tmp_path / "tinh.yaml"))
    assert handles(instance) == "truong-ha" and "stand-in officers of this sandbox" in text
    entry = entries(instance, "registry")[-1]
    assert entry["stand_ins"] and entry["in_force"][0]["signed_by"] == [FIRST, SECOND]


def test_nobody_signs_by_himself_in_production(instance: Instance, tmp_path: Path) -> None:
    sandbox(instance)
    save(instance.settings)  # the keys stay where they are
    assert told(instance, "registry", "apply", str(tmp_path / "tinh.yaml"), *instance.operator)["waiting"]
    assert handles(instance) == "do-thi"


def test_agencies_that_a_document_leaves_out_are_told(instance: Instance, tmp_path: Path) -> None:
    file = tmp_path / "less.yaml"
    file.write_text("agencies: []\n", "utf-8")
    text = lgsp(instance, "registry", "apply", str(file), *instance.operator)
    (line,) = [each for each in text.splitlines() if "bị tạm dừng vì tài liệu không nêu" in each]
    assert "H14.0" in line and line.endswith("lgsp registry show --document")


def test_what_stays_suspended_when_the_whole_document_is_applied_again_is_told(
    instance: Instance, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.yaml"
    whole.write_text(told(instance, "registry", "show", "--document")["document"], "utf-8")
    less = tmp_path / "less.yaml"
    less.write_text("agencies: []\n", "utf-8")
    assert told(instance, "registry", "apply", str(less), *instance.operator)["suspended"] == []
    text = lgsp(instance, "registry", "apply", str(whole), *instance.operator)
    assert "lgsp registry resume agency H14.0" in text and "lgsp registry resume system y-te" in text
    again = told(instance, "registry", "apply", str(whole), *instance.operator)
    assert again["changes"] == [] and {"what": "agency", "id": "H14.0"} in again["suspended"]
    told(instance, "registry", "resume", "agency", "H14.0", *instance.operator)
    again = told(instance, "registry", "apply", str(whole), *instance.operator)
    assert {"what": "agency", "id": "H14.0"} not in again["suspended"]


def test_what_nobody_proposed_is_unknown(instance: Instance) -> None:
    for path in ("route/field-report/v1/nothing", "system/nobody", "agency/H14.77"):
        done = commandline.lgsp("access", "show", path, "--data", str(instance.settings.data), "--json")
        assert done.code != 0 and "registry.unknown" in done.out, (path, done)

"""`lgsp audit show` finds the entries of a case by its id."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from gateway.audit.search.case_steps import entries_of_case
from tests.cases.making import BUILD, DAY, HEALTH, office


def test_the_entries_of_a_case_are_found_by_its_id(database: Engine, tmp_path: Path) -> None:
    here = office(database, tmp_path)
    case, other = here.open(HEALTH, "complaint", BUILD), here.open(HEALTH, "complaint", BUILD)  # in one millisecond
    here.now += DAY
    here.act(BUILD, case, "acknowledge")
    here.act(BUILD, other, "acknowledge")
    here.answer(BUILD, case)
    with database.connect() as connection:
        found = entries_of_case(connection, case.id)
        assert [(each["what"], each["facts"]["act"]) for each in found] == [
            ("case", "open"), ("case", "acknowledge"), ("case", "answer"),
        ]  # fmt: skip
        assert {each["facts"]["case"] for each in found} == {case.id} and len(
            entries_of_case(connection, other.id)
        ) == 2
        assert entries_of_case(connection, "01935b6e-0000-7000-8000-000000000001") == []

"""One declared source a data set (article 4.4): a second one is refused, in the registry and at the doors."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from contracts.base.errors import Failure, Theirs
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import deciding
from gateway.registry.changes.content import Subject, in_force
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.stating import document_text
from gateway.registry.records import Source
from gateway.registry.registry import Registry
from gateway.registry.sources import SourceTable, overlap
from gateway.transfer.stages import Answered, Refused
from tests.exchange.house import Call, house, sample
from tests.registry.making import ENDPOINTS, NOW, PROVINCE, applied, contracts, filled, new_database, province

VALUES, OPERATION, CODE = "indicator/v1", "submitValues", "values[].indicator"


def document(declared: dict[str, list[dict[str, Any]]]) -> Document:
    return province(text_with(declared))


def text_with(declared: dict[str, list[dict[str, Any]]]) -> str:
    raw = yaml.safe_load(PROVINCE)
    for each in raw["systems"]:
        if each["id"] in declared:
            each["sources"] = declared[each["id"]]
    return yaml.safe_dump(raw, allow_unicode=True)


def values(*codes: str) -> dict[str, Any]:
    return {"contract": VALUES, "operation": OPERATION, **({"when": {CODE: list(codes)}} if codes else {})}


def test_a_second_source_of_the_same_data_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    filled(engine, document({"y-te": [values("YT-*")]}), [])
    stands = in_memory(engine)
    for other in (values("YT-07"), values("KT-01", "YT*"), values("Y*"), values()):
        with pytest.raises(Theirs) as refused, writing(engine) as connection:
            store.apply(document({"y-te": [values("YT-*")], "kinh-te": [other]}), connection, NOW + 1)
        failure = refused.value
        assert failure.code == "source.taken" and (failure.facts["first"], failure.facts["second"]) == (
            "y-te",
            "kinh-te",
        )
        assert "y-te" in failure.what("en") and failure.facts["scope"] == f"{CODE} = YT-*"
        assert [each.here for each in failure.findings] == ["systems.kinh-te.sources"]
    assert in_memory(engine) == stands, "nothing was changed"
    with writing(engine) as connection:
        applied(document({"y-te": [values("YT-*")], "kinh-te": [values("KT-*", "YT")]}), connection, NOW + 2)
    assert {
        each: len(system.sources) for each, system in Registry(engine).snapshot.systems.items() if system.sources
    } == {
        "y-te": 1,
        "kinh-te": 1,
    }


def in_memory(engine: Engine) -> Any:
    with engine.connect() as connection:
        return in_force(connection)


def test_a_source_that_moves_waits_until_the_first_one_has_given_it_up(tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    filled(engine, document({"kinh-te": [values("KT-*")]}), [])
    with writing(engine) as connection:
        store.apply(document({"y-te": [values("KT-*")]}), connection, NOW + 1)
        waits = {row["subject"]: row["waits_for"] for row in deciding.waiting_rows(connection, NOW)}
        assert waits == {"system/kinh-te": [], "system/y-te": ["system/kinh-te"]}
        assert "sources" in in_force(connection)[Subject("system", "kinh-te")], "two officers approve it"
        applied(document({"y-te": [values("KT-*")]}), connection, NOW + 2)
        contents = in_force(connection)
        assert "sources" not in contents[Subject("system", "kinh-te")]
        assert contents[Subject("system", "y-te")]["sources"][0]["when"] == {CODE: ["KT-*"]}
        text = document_text(connection)
    with writing(engine) as connection:
        again = parse(text, contracts(), {**ENDPOINTS})
        assert store.apply(again, connection, NOW + 3) == [], "a stated document changes nothing"


def test_the_document_of_a_system_with_sources_and_callback_can_be_applied_again(tmp_path: Path) -> None:
    engine = new_database(tmp_path)
    raw = yaml.safe_load(text_with({"do-thi": [values("DT-*")]}))
    for each in raw["systems"]:
        if each["id"] in ("do-thi", "phan-anh"):
            each["callback"] = "https://a.example/back"
    filled(engine, province(yaml.safe_dump(raw, allow_unicode=True)), [])
    with writing(engine) as connection:
        assert store.apply(parse(document_text(connection), contracts(), {}), connection, NOW + 1) == []
    snapshot = Registry(engine).snapshot
    endpoint = snapshot.systems["do-thi"].endpoint
    assert endpoint is not None and not endpoint.options and snapshot.systems["do-thi"].callback is not None


@pytest.mark.parametrize(
    ("declared", "where", "rule"),
    [
        ({"contract": VALUES, "operation": "getValue"}, "operation", "reference"),  # it asks
        ({"contract": VALUES, "operation": "sing"}, "operation", "reference"),
        ({"contract": "no-such/v1", "operation": "x"}, "contract", "reference"),
        (values("KT*01"), f"when.{CODE}[0]", "format"),
        (values("*"), f"when.{CODE}[0]", "format"),
        ({**values(), "when": {"values[].colour": ["x"]}}, "when", "reference"),
        ({**values(), "when": {CODE: []}}, f"when.{CODE}", "required"),
        ({**values(), "much": 1}, "much", "unknown"),
    ],
)
def test_what_cannot_be_a_source_is_refused(declared: dict[str, Any], where: str, rule: str) -> None:
    with pytest.raises(Failure) as refused:
        document({"y-te": [declared]})
    number = [each["id"] for each in yaml.safe_load(PROVINCE)["systems"]].index("y-te")
    assert [(each.here, each.rule) for each in refused.value.findings] == [
        (f"systems[{number}].sources[0].{where}", rule)
    ]


def test_overlap_is_what_a_search_for_a_common_message_finds() -> None:
    """Against all messages of two fields over a small alphabet."""
    chance = random.Random(44)
    texts = ["".join(each) for size in (1, 2, 3) for each in itertools.product("ab", repeat=size)]
    choices = [*texts, *(f"{each}*" for each in texts if len(each) < 3)]
    texts += ["aaaa", "abab", "bbbb"]

    def some() -> Source:
        paths = chance.sample(["x", "y"], chance.randint(0, 2))
        return Source("c", "o", {path: tuple(chance.sample(choices, chance.randint(1, 2))) for path in paths})

    def covered(source: Source, message: dict[str, str]) -> bool:
        return all(
            any(message[path] == each or (each[-1] == "*" and message[path].startswith(each[:-1])) for each in wanted)
            for path, wanted in source.when.items()
        )

    for _ in range(300):
        one, other = some(), some()
        table = SourceTable([("one", one)])
        messages = [{"x": x, "y": y} for x in texts for y in texts]
        common = any(covered(one, each) and covered(other, each) for each in messages)
        assert overlap(one, other) == overlap(other, one) == common, (one, other)
        for message in chance.sample(messages, 20):
            assert (table.others("two", message) is not None) == covered(one, message)
            assert table.others("one", message) is None


def test_data_of_another_source_are_refused_at_the_door(database: Engine, tmp_path: Path) -> None:
    """Data that nobody declared are taken as before, also those of others' operations."""
    text = text_with({"y-te": [values("YT-*")], "kinh-te": [values("KT-02")]})
    with house(database, tmp_path, text) as gateway:
        count = iter(range(100))

        def send(*codes: str, system: str | None) -> Answered | Refused:
            one = sample(gateway.snapshot.contracts[VALUES], "IndicatorValue")
            message = {"values": [{**one, "indicator": code, "period": f"20{next(count) + 10}"} for code in codes]}
            return asyncio.run(gateway.carry(Call(VALUES, OPERATION, f"m-{next(count)}", message, system)))

        taken, refused = send("KT-01", "KT-02", system="kinh-te"), send("KT-01", "YT-07", system="kinh-te")
        assert isinstance(taken, Answered), taken
        assert isinstance(refused, Refused) and refused.failure.code == "source.other"
        assert refused.failure.facts["source"] == "H14.7/y-te" and "YT-07" not in refused.failure.what("en")
        assert isinstance(send("KT-02", system="so-lieu"), Refused), "another system of the same agency"
        assert isinstance(send("KT-03", system="so-lieu"), Answered), "nobody declared it"
        assert isinstance(gateway.call("full", "incident-alert/v1", "submitAlert"), Answered)

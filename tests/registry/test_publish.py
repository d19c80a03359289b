"""Publishing: what is refused, what moves; and systems that stay with the minor version they understand."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from contracts.base.errors import Theirs
from contracts.compiled.pinned import PinnedCodec
from contracts.diff.changes import Level
from contracts.folder.bundle import Bundle
from contracts.wire.soap import parse_xml
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.registry import store, versions
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.publish import pins, roll_back
from gateway.registry.records import System
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot, load_snapshot
from tests.registry.editions import NAME, NOTE, answer_field, begin_at_first, edition, put, question_field, row, swap
from tests.registry.making import ENDPOINTS, NOW, PROVINCE, filled, new_database, province, sign_proposals

FIRST = edition("1.0.0")
SOURCE = edition("1.1.0", answer_field("source"), question_field("purpose"))
SHORTER = swap("schema.json", '"maxLength": 60', '"maxLength": 30')
VALUE = {
    "indicator": "KT-05",
    "area": "04",
    "period": "2026-Q3",
    "frequency": "Q",
    "unit": "tỷ đồng",
    "value": 612,
    "status": "final",
    "source": "Kho bạc Nhà nước",
    "updated": "2026-10-02T08:00:00+07:00",
}
OLD_VALUE = {name: value for name, value in VALUE.items() if name != "source"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The province's database, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("base")
    made = new_database(folder)
    filled(made, province(), [])
    begin_at_first(made, sign_proposals)
    made.dispose()
    return folder / "lgsp.db"


@pytest.fixture
def engine(base: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(base, tmp_path)
    made = open_engine(f"sqlite:///{tmp_path / 'lgsp.db'}")
    yield made
    made.dispose()


_last: list[Snapshot] = []


def snapshot_of(engine: Engine, before: Snapshot | None = None) -> Snapshot:
    """As a door has it, which takes what is compiled over from the snapshot before."""
    with engine.connect() as connection:
        _last[:] = [load_snapshot(connection, before or next(iter(_last), None))]
    return _last[0]


def in_force(engine: Engine) -> tuple[str, str]:
    found = snapshot_of(engine).contracts[NAME]
    return found.contract.version, found.digest


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [each.version for each in versions.stored(connection, NAME)]


def registered(engine: Engine, text: str) -> list[Any]:
    with writing(engine) as connection:
        in_use = snapshot_of(engine).contracts
        document: Document = parse(text, in_use, ENDPOINTS, partial(versions.compiled, connection))
        changes = store.apply(document, connection, NOW)
        sign_proposals(connection)
        return changes


def speaking(value: str, system: str = "y-te") -> str:
    """The province, with what a system says of the indicator's format."""
    mark = f"  - id: {system}\n"
    assert mark in PROVINCE
    text = PROVINCE.replace("    formats: {indicator/v1: kinh-te-json}\n", "") if system == "kinh-te" else PROVINCE
    text = text.replace('fields: ["*", "!responsible"]', 'fields: ["*"]')  # not every format could show what that hides
    return text.replace(mark, f"{mark}    formats: {{indicator/v1: {value}}}\n")


# --- publishing -------------------------------------------------------------------------------------------------------


def test_the_pointer_moves_and_the_older_bundle_stays(engine: Engine) -> None:
    before = snapshot_of(engine)
    with writing(engine) as connection:
        done = put(connection, SOURCE)
    assert (done.now.version, done.before and done.before.version, done.level, done.moved) == (
        "1.1.0",
        "1.0.0",
        Level.MINOR,
        True,
    )
    assert in_force(engine) == ("1.1.0", SOURCE.digest) and stored(engine) == ["1.0.0", "1.1.0"]
    after = snapshot_of(engine, before)
    assert after.revision == before.revision + 1
    with writing(engine) as connection:
        assert not put(connection, SOURCE).moved
    assert snapshot_of(engine).revision == after.revision
    # A message that was queued under the older one finds it.
    assert Registry(engine).compiled(FIRST.digest).contract.version == "1.0.0"


@pytest.mark.parametrize(
    ("version", "edits", "code"),
    [
        ("1.0.1", [SHORTER], "contract.breaking"),
        ("1.1.0", [SHORTER], "contract.breaking"),
        ("1.1.0", [SHORTER, answer_field("source")], "contract.breaking"),
        ("1.0.1", [answer_field("source")], "contract.small-step"),
        ("1.0.0", [answer_field("source")], "contract.version-taken"),
    ],
)
def test_what_may_not_follow_is_refused_and_nothing_moves(
    engine: Engine, version: str, edits: list[Any], code: str
) -> None:
    before = snapshot_of(engine)
    with pytest.raises(Theirs) as caught, writing(engine) as connection:
        put(connection, edition(version, *edits))
    assert caught.value.code == code
    for language in ("vi", "en"):
        assert "…" not in caught.value.what(language) + caught.value.next(language)
    if code == "contract.breaking":
        assert (
            caught.value.findings[0].here.startswith("schema.json:")
            and caught.value.findings[0].rule == "schema.bounds-narrowed"
        )
    assert in_force(engine) == ("1.0.0", FIRST.digest) and stored(engine) == ["1.0.0"]
    assert snapshot_of(engine).revision == before.revision


def test_a_version_grows(engine: Engine) -> None:
    with writing(engine) as connection:
        put(connection, SOURCE)
    with pytest.raises(Theirs, match=r"contract\.version-low"), writing(engine) as connection:
        put(connection, edition("1.0.9", answer_field("source"), question_field("purpose")))
    with pytest.raises(Theirs, match=r"contract\.version-low"), writing(engine) as connection:
        put(connection, FIRST)
    with writing(engine) as connection:
        done = put(
            connection,
            edition(
                "1.1.1",
                answer_field("source"),
                question_field("purpose"),
                swap("contract.yaml", "vi: Tra cứu giá trị chỉ tiêu", "vi: Hỏi giá trị chỉ tiêu"),
            ),
        )
    assert done.level is Level.PATCH and in_force(engine)[0] == "1.1.1"


def test_majors_stand_side_by_side(engine: Engine) -> None:
    with writing(engine) as connection:
        put(
            connection,
            edition(
                "2.0.0",
                SHORTER,
                swap("schema.json", ":indicator:v1", ":indicator:v2"),
                swap("schema.json", '"title": "indicator/v1"', '"title": "indicator/v2"'),
            ),
        )
    snapshot = snapshot_of(engine)
    assert in_force(engine)[0] == "1.0.0" and snapshot.contracts["indicator/v2"].contract.version == "2.0.0"
    for name in ("indicator/v1", "indicator/v2"):
        found = snapshot.rest_operation("GET", f"/{name}/values")
        assert found is not None and found[0].contract.name == name


def test_going_back_and_forth_again(engine: Engine) -> None:
    with writing(engine) as connection:
        with pytest.raises(Theirs, match=r"contract\.no-older"):
            roll_back(connection, NAME)
        with pytest.raises(Theirs, match=r"registry\.unknown"):
            roll_back(connection, "khong-co/v1")
        put(connection, SOURCE)
        back = roll_back(connection, NAME)
    assert (back.how, back.now.version, back.moved) == ("rolled back", "1.0.0", True)
    assert in_force(engine) == ("1.0.0", FIRST.digest) and stored(engine) == ["1.0.0", "1.1.0"]
    with writing(engine) as connection:
        assert put(connection, SOURCE).moved
    assert in_force(engine)[0] == "1.1.0"
    registered(engine, speaking('{format: canonical, version: "1.1"}'))
    with pytest.raises(Theirs) as caught, writing(engine) as connection:
        roll_back(connection, NAME)
    assert caught.value.code == "contract.pinned" and "y-te" in caught.value.what("vi")


def test_a_version_has_one_bundle_whoever_writes(engine: Engine) -> None:
    """The database itself holds it, should two publish at once."""
    with pytest.raises(Exception, match="(?i)unique"), writing(engine) as connection:
        store.publish_bundle(connection, edition("1.0.0", answer_field("source")))
    with engine.connect() as connection:
        assert (
            connection.scalar(select(func.count()).select_from(tables.bundle).where(tables.bundle.c.contract == NAME))
            == 1
        )


# --- pins -------------------------------------------------------------------------------------------------------------


def system_of(engine: Engine, name: str) -> System:
    found = snapshot_of(engine).systems[name]
    assert isinstance(found, System)
    return found


def test_a_named_format_is_pinned_when_it_is_registered_and_stays(engine: Engine) -> None:
    assert system_of(engine, "kinh-te").pin(NAME) == "1.0" and system_of(engine, "y-te").pin(NAME) is None
    with writing(engine) as connection:
        put(connection, SOURCE)
    assert registered(engine, PROVINCE) == []  # the same document again lifts nothing
    assert system_of(engine, "kinh-te").pin(NAME) == "1.0"
    registered(engine, speaking("canonical"))  # y-te is named for the first time now
    assert system_of(engine, "y-te").pin(NAME) == "1.1"
    changes = registered(engine, speaking('{format: kinh-te-json, version: "1.1"}', "kinh-te"))
    assert [(each.id, each.fields) for each in changes if each.id == "kinh-te"] == [("kinh-te", ("versions",))]
    registered(engine, speaking("{format: kinh-te-json, version: newest}", "kinh-te"))
    assert system_of(engine, "kinh-te").pin(NAME) is None
    registered(engine, PROVINCE)  # and that stays too
    assert system_of(engine, "kinh-te").pin(NAME) is None
    with engine.connect() as connection:
        assert pins(connection, NAME) == {}


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        ("{format: canonical, version: 1.0}", ".version", "type"),  # YAML reads a number: 1.10 would become 1.1
        ('{format: canonical, version: "1"}', ".version", "pattern"),
        ('{format: canonical, version: "1.0.0"}', ".version", "pattern"),
        ('{format: canonical, version: "1.7"}', ".version", "reference"),
        ('{format: canonical, version: "0.9"}', ".version", "pattern"),
        ('{format: khong-co, version: "1.0"}', "", "reference"),
        ('{format: canonical, phien-ban: "1.0"}', ".phien-ban", "unknown"),
    ],
)
def test_a_pin_that_cannot_be_is_refused(engine: Engine, value: str, path: str, rule: str) -> None:
    with pytest.raises(Theirs) as caught:
        registered(engine, speaking(value))
    assert (f"formats.{NAME}{path}", rule) in [
        (each.here.partition(".")[2], each.rule) for each in caught.value.findings
    ]


def test_a_format_must_be_in_the_version_that_is_named(engine: Engine) -> None:
    newer = edition("1.1.0", lambda files: files.update({"systems/kho-bac.yaml": files["systems/kinh-te-json.yaml"]}))
    with writing(engine) as connection:
        put(connection, newer)
    with pytest.raises(Theirs) as caught:
        registered(engine, speaking('{format: kho-bac, version: "1.0"}'))
    assert [each.rule for each in caught.value.findings] == ["reference"]
    registered(engine, speaking('{format: kho-bac, version: "1.1"}'))
    # Whoever takes another format is registered anew with it: the version that it had need not know the format.
    registered(engine, speaking("kho-bac", "kinh-te"))
    assert (
        system_of(engine, "kinh-te").pin(NAME) == "1.1"
        and snapshot_of(engine).codec(system_of(engine, "kinh-te"), snapshot_of(engine).contracts[NAME]).name
        == "kho-bac"
    )
    registered(engine, speaking("{format: kho-bac, version: newest}", "kinh-te"))
    with pytest.raises(Theirs) as caught, writing(engine) as connection:
        roll_back(connection, NAME)
    assert caught.value.code == "contract.pinned" and "kinh-te" in caught.value.what("en")


def test_a_version_taken_back_cannot_be_pinned(engine: Engine) -> None:
    """Not even when a later one is in force, which was compared with the one before it: here it has the field as a
    number."""
    as_number = edition(
        "1.2.0", swap("schema.json", NOTE, f'{NOTE}\n        "source": {{"type": "integer"}},'), row("source")
    )
    with writing(engine) as connection:
        put(connection, SOURCE)
        roll_back(connection, NAME)
    with pytest.raises(Theirs, match=r"registry\.invalid"):
        registered(engine, speaking('{format: canonical, version: "1.1"}'))
    with writing(engine) as connection:
        assert put(connection, as_number).level is Level.MINOR
    with pytest.raises(Theirs, match=r"registry\.invalid"):
        registered(engine, speaking('{format: canonical, version: "1.1"}'))
    with writing(engine) as connection:
        assert roll_back(connection, NAME).now.version == "1.0.0"  # not to what was taken back
        put(connection, SOURCE)
    registered(engine, speaking('{format: canonical, version: "1.1"}'))


def test_who_is_behind_speaks_its_own_version_in_every_face(engine: Engine) -> None:
    with writing(engine) as connection:
        put(connection, SOURCE)
    registered(engine, speaking('{format: canonical, version: "1.0"}'))
    snapshot = snapshot_of(engine)
    contract = snapshot.contracts[NAME]
    behind, newest, economy = (
        snapshot.codec(snapshot.systems[name], contract) for name in ("y-te", "dieu-hanh", "kinh-te")
    )
    assert (
        isinstance(behind, PinnedCodec) and isinstance(economy, PinnedCodec) and newest is contract.codec("canonical")
    )
    # Answers: without the field that came later; in the foreign format as in the canonical ones.
    assert newest.read_json("IndicatorValue", newest.write_json("IndicatorValue", VALUE)) == VALUE
    assert newest.read_json("IndicatorValue", behind.write_json("IndicatorValue", VALUE)) == OLD_VALUE
    assert newest.read_xml("IndicatorValue", parse_xml(behind.write_xml("IndicatorValue", VALUE))) == OLD_VALUE
    assert b"source" not in economy.write_json("IndicatorValue", VALUE)
    assert b"source" in contract.codec("kinh-te-json").write_json("IndicatorValue", VALUE)
    # Questions: held to what the system was built to.
    query = "indicator=KT-05&area=04&period=2026-Q3"
    assert behind.read_query("ValueQuery", query) == newest.read_query("ValueQuery", query)
    assert newest.read_query("ValueQuery", query + "&purpose=x")["purpose"] == "x"
    with pytest.raises(Theirs) as caught:
        behind.read_query("ValueQuery", query + "&purpose=x")
    assert caught.value.code == "message.invalid" and caught.value.findings[0].rule == "unknown"
    # A provider that is behind is asked as it knows.
    question = {"indicator": "KT-05", "area": "04", "period": "2026-Q3", "purpose": "x"}
    assert behind.write_query("ValueQuery", question) == query


def test_a_provider_is_not_asked_what_its_version_cannot_hold(engine: Engine) -> None:
    with writing(engine) as connection:
        done = put(
            connection,
            edition("1.1.0", swap("schema.json", '["indicator", "area", "period"]', '["indicator", "area"]')),
        )
    assert [change.code for change in done.changes] == ["schema.required-lifted"]
    snapshot = snapshot_of(engine)
    economy = snapshot.codec(snapshot.systems["kinh-te"], snapshot.contracts[NAME])
    with pytest.raises(Theirs) as caught:
        economy.write_json("ValueQuery", {"indicator": "KT-05", "area": "04"})
    assert caught.value.code == "message.not-expressible"
    assert [(each.canonical, each.rule) for each in caught.value.findings] == [("period", "required")]


def test_a_snapshot_keeps_what_is_compiled_and_shares_it(engine: Engine) -> None:
    with writing(engine) as connection:
        put(connection, SOURCE)
    before = snapshot_of(engine)
    registered(engine, speaking('{format: kinh-te-json, version: "1.0"}'))
    after = snapshot_of(engine, before)
    assert all(after.compiled[each] is before.compiled[each] for each in before.compiled)
    contract = after.contracts[NAME]
    assert after.codec(after.systems["y-te"], contract) is after.codec(after.systems["kinh-te"], contract)


# --- both databases ---------------------------------------------------------------------------------------------------


def test_two_that_publish_at_once_come_one_after_the_other(database: Engine) -> None:
    with writing(database) as connection:
        put(connection, FIRST)
    others = [SOURCE, edition("1.1.0", answer_field("origin"))]
    together, told = threading.Barrier(2), []

    def one(bundle: Bundle) -> None:
        together.wait()
        try:
            with writing(database) as connection:
                told.append(put(connection, bundle).now.digest)
        except Theirs as refused:
            told.append(refused.code)

    threads = [threading.Thread(target=one, args=(bundle,)) for bundle in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_force(database) in [("1.1.0", each.digest) for each in others]
    assert sorted(told) == ["contract.version-taken", in_force(database)[1]]
    with writing(database) as connection:
        assert roll_back(connection, NAME).now.digest == FIRST.digest

"""A reader who follows the cursors sees every event once, in order; nobody uses a cursor of elsewhere; masks and
tombstones hold."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from contracts.base.errors import Theirs
from gateway.feeds import Page, cursor, read, read_raw
from gateway.journal.schema import tables
from gateway.vault.vault import Vault

FEED, OTHER = "incident-alert/v1", "indicator/v1"
NOW = 1_795_500_000.0


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys")


def fill(engine: Engine, vault: Vault, number: int, contract: str = FEED) -> None:
    with engine.begin() as connection:
        for offset in range(1, number + 1):
            id = f"{contract}-{offset}"
            body = vault.seal(
                id,
                "canonical",
                b'{"value":0.10,"responsible":{"name":"Lan"},"number":%d}' % offset,
                NOW + 86_400 * (offset // 4),
            )
            connection.execute(
                insert(tables.vault).values(id=body.id, key_id=body.key_id, size=body.size, sealed=body.sealed)
            )
            event = json.dumps({"specversion": "1.0", "id": id, "source": "urn:x", "type": "y"})
            connection.execute(
                insert(tables.feed_event).values(
                    contract=contract, offset=offset, transfer=id, event=event, body_ref=body.id, sequenced=NOW + offset
                )
            )


def follow(engine: Engine, vault: Vault, limit: int) -> list[Page]:
    pages: list[Page] = []
    after = None
    while not pages or pages[-1].more:
        with engine.connect() as connection:
            pages.append(read(connection, FEED, after, limit, vault=vault))
        after = pages[-1].next
    return pages


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 5000])
def test_every_event_once_in_order(database: Engine, vault: Vault, limit: int) -> None:
    fill(database, vault, 10)
    fill(database, vault, 3, OTHER)
    pages = follow(database, vault, limit)
    events = [event for page in pages for event in page.events]
    assert [event["data"]["number"] for event in events] == list(range(1, 11))
    assert events[0]["data"]["value"] == Decimal("0.10") and events[0]["sequence"] == "00000000000000000001"
    with database.connect() as connection:
        end = read(connection, FEED, pages[-1].next, limit, vault=vault)
    assert end == Page((), pages[-1].next, False)


def test_an_empty_feed_gives_a_cursor_to_go_on_from(database: Engine, vault: Vault) -> None:
    with database.connect() as connection:
        first = read(connection, FEED, None, 10, vault=vault)
    assert first.events == () and not first.more
    fill(database, vault, 2)
    with database.connect() as connection:
        assert len(read(connection, FEED, first.next, 10, vault=vault).events) == 2


def test_the_mask_is_applied_to_the_data(database: Engine, vault: Vault) -> None:
    fill(database, vault, 1)
    with database.connect() as connection:
        page = read(
            connection,
            FEED,
            None,
            1,
            vault=vault,
            mask=lambda data: {**data, "responsible": {"absent": "not-permitted"}},
        )
    assert page.events[0]["data"]["responsible"] == {"absent": "not-permitted"}


def test_raw_pages_hold_the_same(database: Engine, vault: Vault) -> None:
    fill(database, vault, 5)
    with database.connect() as connection:
        page, raw = read(connection, FEED, None, 3, vault=vault), read_raw(connection, FEED, None, 3, vault=vault)
    assert [json.loads(event, parse_float=Decimal) for event in raw.events] == list(page.events)
    assert b'"value":0.10' in raw.events[0] and (raw.next, raw.more) == (page.next, page.more)


def test_past_its_retention_an_event_is_a_tombstone(database: Engine, vault: Vault) -> None:
    fill(database, vault, 5)
    vault.destroy(vault.seal("x", "y", b"", NOW).key_id, NOW)
    with database.connect() as connection:
        page, raw = read(connection, FEED, None, 9, vault=vault), read_raw(connection, FEED, None, 9, vault=vault)
    assert ["data" in event for event in page.events] == [False, False, False, True, True]
    assert page.events[0]["tombstone"] is True and json.loads(raw.events[0])["tombstone"] is True


@given(st.sampled_from([FEED, OTHER, "a/v9"]), st.integers(0, 10**15), st.sampled_from(["", "m3Zk-_09AbCd"]))
def test_cursors_come_back(contract: str, offset: int, log: str) -> None:
    text = cursor.encode(contract, offset, log)
    assert cursor.decode(text, (contract,)) == (log, {contract: offset})
    both = cursor.encode_all({contract: offset, "b/v1": 7}, log)
    assert cursor.decode(both, ("b/v1", contract)) == (log, {contract: offset, "b/v1": 7})
    with pytest.raises(Theirs) as caught:
        cursor.decode(text, (contract + "0",))
    assert caught.value.code == "feed.bad-cursor"


@pytest.mark.parametrize(
    "text", ["x", "é", "MSBh", "=", "MSBpbmNpZGVudC1hbGVydC92MSAtNQ", cursor.encode(FEED, 5) + "=", "A" * 5000]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Theirs) as caught:
        cursor.decode(text, (FEED,))
    assert caught.value.code == "feed.bad-cursor"


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        place = cursor.decode(text, (FEED,))
        assert cursor.encode_all(place.offsets, place.log) == text
    except Theirs as failure:
        assert failure.code == "feed.bad-cursor"


def test_a_cursor_behind_the_newest_event_is_refused(database: Engine, vault: Vault) -> None:
    fill(database, vault, 2)
    with database.connect() as connection, pytest.raises(Theirs) as caught:
        read(connection, FEED, cursor.encode(FEED, 3), 10, vault=vault)
    assert caught.value.code == "feed.bad-cursor"

"""`lgsp console token`: the same tokens as the page makes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_account
from gateway.registry.seals.accounts import KEY
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from tests import commandline


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load(tmp_path_factory.mktemp("tokens") / "data", environment={})
    make_instance(
        settings,
        dict.fromkeys(("do-thi", "kinh-te", "mo-phong", "truong-ha"), "https://localhost:1"),
        time.time(),
        province=True,
    )
    return settings


def told(sandbox: Settings, *words: str, ends: int = 0) -> dict[str, Any]:
    code, out, err = commandline.lgsp("console", *words, "--data", str(sandbox.data), "--json")
    assert code == ends, out + err
    found: dict[str, Any] = json.loads(out or err)
    return found


def test_a_token_is_made_listed_and_ended(sandbox: Settings) -> None:
    told(sandbox, "user", "add", "lan", "--role", "steward", "--agency", "H14.0", "--name", "Lan")
    again = told(sandbox, "user", "add", "lan", "--role", "steward", "--agency", "H14.0", "--name", "Lan", ends=2)
    assert again["error"]["code"] == "account.taken"
    made = told(sandbox, "token", "add", "lan", "--label", "nightly", "--days", "30")
    (listed,) = told(sandbox, "token", "list")["tokens"]
    assert listed["mark"] == made["mark"] and "token" not in listed and listed["account"] == "lan"
    assert told(sandbox, "token", "list", "minh")["tokens"] == []
    assert told(sandbox, "token", "revoke", "lan", "00000000", ends=1)["error"]["code"] == "token.unknown"
    told(sandbox, "token", "revoke", "lan", made["mark"])
    assert told(sandbox, "token", "list")["tokens"] == []


def test_an_account_is_given_what_the_pages_would_give(sandbox: Settings) -> None:
    """An officer's to an officer of the registry alone, and one of an agency that there is."""
    of_none = ("user", "add", "mai", "--role", "officer", "--agency", "H14.0", "--name", "Mai")
    assert told(sandbox, *of_none, ends=1)["error"]["code"] == "account.not-officer"
    nowhere = ("user", "add", "mai", "--role", "steward", "--agency", "H14.66", "--name", "Mai")
    assert told(sandbox, *nowhere, ends=2)["error"]["code"] == "console.unknown-name"
    told(sandbox, "user", "add", "mai", "--role", "steward", "--agency", "H14.0", "--name", "Mai")
    wider = ("user", "roles", "mai", "--role", "steward", "--role", "officer")
    assert told(sandbox, *wider, ends=1)["error"]["code"] == "account.not-officer"
    (kept,) = [each for each in told(sandbox, "user", "list")["accounts"] if each["id"] == "mai"]
    assert kept["roles"] == ["steward"] and kept["agency"] == "H14.0"


def test_nobody_gets_a_token_who_has_no_account(sandbox: Settings) -> None:
    assert told(sandbox, "token", "add", "nobody", "--label", "x", ends=2)["error"]["code"] == "account.unknown"
    code, _, err = commandline.lgsp("console", "token", "add", "lan", "--label", "x", "--days", "31")
    assert code == 2 and "30" in err


def test_rows_that_nobody_sealed_are_no_accounts_and_are_deleted_with_a_reason(sandbox: Settings) -> None:
    told(sandbox, "user", "add", "cuc", "--role", "steward", "--agency", "H14.0", "--name", "Cúc")
    known = [each["id"] for each in told(sandbox, "user", "list")["accounts"]]
    assert told(sandbox, "repair", "--reason", "nothing differs")["differed"] == []
    with writing(open_engine(sandbox.database_url)) as inside:
        row = inside.execute(select(console_account).where(console_account.c.id == "cuc")).mappings().one()
        inside.execute(insert(console_account).values({**row, "id": "khac"}))
        inside.execute(update(console_account).where(console_account.c.id == "cuc").values(roles='["operator"]'))
    assert [each["id"] for each in told(sandbox, "user", "list")["accounts"]] == [
        each for each in known if each != "cuc"
    ]
    assert told(sandbox, "user", "link", "cuc", ends=2)["error"]["code"] == "account.unknown"
    assert told(sandbox, "repair", "--reason", "short", ends=1)["error"]["code"] == "console.reason"
    differed = told(sandbox, "repair", "--reason", "edited by a clerk of the data centre")["differed"]
    assert differed == [
        {"table": "console_account", "key": "cuc", "how": "altered"},
        {"table": "console_account", "key": "khac", "how": "added"},
    ]
    told(sandbox, "user", "add", "cuc", "--role", "steward", "--agency", "H14.0", "--name", "Cúc")
    with writing(open_engine(sandbox.database_url)) as inside:
        inside.execute(update(tables.instance).where(tables.instance.c.key == KEY).values(value="{}"))
    refused = told(sandbox, "user", "add", "moi", "--role", "steward", "--agency", "H14.0", "--name", "Mới", ends=3)
    assert refused["error"]["code"] == "accounts.altered"

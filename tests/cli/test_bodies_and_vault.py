"""`lgsp audit body` and `lgsp vault …`: what they print, how they end, what stands in the log."""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from gateway.cli import vault
from gateway.cli.audit.body import audit_body
from gateway.cli.audit.entries import audit_show
from gateway.cli.audit.package import audit_package
from gateway.cli.audit.search import audit_search
from gateway.journal.database import migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.settings.saving import save
from gateway.transfer import lease as leases
from gateway.vault.keystore import KeyStore
from gateway.vault.vault import Vault
from security.grants.windows import moment
from security.transparency import entry as form
from tests.audit import making

REASON = "công văn 12/CV-CA"
BODY = "cảnh báo lũ".encode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path / "data")
    made.data.mkdir()
    migrate(open_engine(made.database_url))
    save(made)
    return made


def put(settings: Settings, part: str, content: bytes, days_ago: float = 0.0, retention: str = "m24") -> str:
    at = time.time() - days_ago * 86_400
    id = new_id(int(at * 1000))
    row = Vault(settings.vault_keys).seal(id, part, content, at, retention)
    with writing(open_engine(settings.database_url)) as connection:
        connection.execute(insert(tables.vault).values(**row._asdict()))
    return id


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    def run(command: Callable[..., None], settings: Settings, **options: Any) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as end:
            command(**options, data=settings.data, as_json=True)
        return int(str(end.value.code)), json.loads(capsys.readouterr().out)

    return run


def test_a_body_is_shown_and_who_saw_it_stands_with_the_transfer(settings: Settings, tmp_path: Path, told: Any) -> None:
    transfer = put(settings, "request", BODY)
    code, found = told(audit_body, settings, transfer=transfer, reason=REASON)
    assert (code, found["text"], found["size"]) == (0, BODY.decode(), len(BODY))
    code, found = told(audit_body, settings, transfer=transfer, reason=REASON, out=tmp_path / "body.bin", range_="2-4")
    assert (
        code == 0
        and (tmp_path / "body.bin").read_bytes() == BODY[2:5]
        and (tmp_path / "body.bin").stat().st_mode & 0o777 == 0o600
    )
    code, shown = told(audit_show, settings, transfers=[transfer])
    assert code == 0 and [entry["what"] for entry in shown["entries"]] == ["body-view", "body-view"]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert all(
        entry["actor"].endswith(f"{user}, command line") and entry["facts"]["reason"] == REASON
        for entry in shown["entries"]
    )
    assert [entry["facts"].get("range") for entry in shown["entries"]] == [None, "2-5"]


def test_what_is_no_text_comes_in_base64_and_what_is_too_large_not_at_all(settings: Settings, told: Any) -> None:
    transfer, large = put(settings, "request", b"\xff\xfe"), put(settings, "answer", bytes(3 << 20))
    assert told(audit_body, settings, transfer=transfer, reason=REASON)[1]["base64"] == "//4="
    code, found = told(audit_body, settings, transfer=large, reason=REASON, part="answer")
    assert (code, found["error"]["code"]) == (2, "too-large")
    assert told(audit_body, settings, transfer=large, reason=REASON, part="answer", range_="0-99")[0] == 0
    assert len(told(audit_show, settings, transfers=[large])[1]["entries"]) == 1, (
        "what was not read is not logged as read"
    )


@pytest.mark.parametrize(
    ("out", "span", "code"),
    [
        ("there", None, "there-already"),
        ("no-such/body.bin", None, "no-folder"),
        (None, "9-3", "bad-range"),
        (None, "all", "bad-range"),
        (None, f"{len(BODY)}-", "bad-range"),
        (None, "9000-9999", "bad-range"),
    ],
)
def test_wrong_usage_reads_nothing(
    settings: Settings, tmp_path: Path, told: Any, out: str | None, span: str | None, code: str
) -> None:
    transfer = put(settings, "request", BODY)
    (tmp_path / "there").touch()
    ended, found = told(
        audit_body, settings, transfer=transfer, reason=REASON, out=None if out is None else tmp_path / out, range_=span
    )
    assert (ended, found["error"]["code"]) == (2, code)
    assert told(audit_show, settings, transfers=[transfer])[0] == 1


def test_raw_bytes_go_to_standard_output(settings: Settings, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    transfer = put(settings, "request", b"\x00\xff" * 100_000)
    with pytest.raises(SystemExit) as end:
        audit_body(transfer, REASON, range_="1-150000", data=settings.data)
    assert end.value.code == 0 and capfdbinary.readouterr().out == (b"\x00\xff" * 100_000)[1:150_001]


def test_status_dry_run_expire_and_holds(settings: Settings, told: Any) -> None:
    old, held, new = (
        put(settings, "request", BODY, 800),
        put(settings, "answer", BODY, 801),
        put(settings, "request", BODY),
    )
    code, found = told(vault.hold_add, settings, name="vu-an-7", reason=REASON, transfer=[held])
    assert (code, found["transfers"], found["bodies"]) == (0, 0, 1)
    code, found = told(vault.vault_status, settings)
    assert code == 0 and [(line["class"], line["hold"], line["bodies"], line["overdue"]) for line in found["keys"]] == [
        ("m24", None, 0, True), ("m24", "vu-an-7", 1, False), ("m24", None, 1, True), ("m24", None, 1, False),
    ]  # fmt: skip
    code, dry = told(vault.vault_expire, settings, dry_run=True)
    assert code == 0 and [each["bodies"] for each in dry["due"]] == [0, 1] and dry["destroyed"] == []
    code, done = told(vault.vault_expire, settings)
    assert (code, done["error"]["code"]) == (1, "clock-in-doubt"), "nobody speaks for this clock yet"
    KeyStore(settings.vault_keys).say_clock(time.time())
    code, done = told(vault.vault_expire, settings)
    assert code == 0 and done["destroyed"] == [each["key"] for each in dry["due"]]
    with pytest.raises(Failure) as caught:
        audit_body(old, REASON, data=settings.data, as_json=True)
    assert caught.value.code == "vault.expired"
    assert told(audit_body, settings, transfer=held, reason=REASON, part="answer")[1]["text"] == BODY.decode()
    assert told(audit_body, settings, transfer=new, reason=REASON)[0] == 0
    assert told(vault.hold_release, settings, name="vu-an-7", reason=REASON)[1]["bodies"] == 1
    assert [each["state"] for each in told(vault.hold_list, settings)[1]["holds"]] == ["released"]
    assert len(told(vault.vault_expire, settings)[1]["destroyed"]) == 1
    (settings.vault_keys / f"{told(vault.vault_status, settings)[1]['keys'][0]['key']}.key").unlink()
    code, found = told(vault.vault_status, settings)
    assert code == 1 and len(found["missing"]) == 1, (
        "a key that is gone without having been destroyed is no small thing"
    )


def test_where_a_keeper_leads_it_alone_destroys(settings: Settings, told: Any) -> None:
    put(settings, "request", BODY, 800)
    with writing(open_engine(settings.database_url)) as connection:
        assert leases.take(connection, "keeper-1", time.time(), seconds=600) is not None
    code, found = told(vault.vault_expire, settings)
    assert (code, found["error"]["code"]) == (1, "keeper-leads")


def test_a_hold_takes_its_last_day_whole(settings: Settings, told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        told(vault.hold_add, settings, name="mot-ngay", reason=REASON, begins="2026-11-24", ends="2026-11-24")[0] == 0
    )
    assert told(vault.hold_add, settings, name="den-gio", reason=REASON, ends="2026-11-24T17:30")[0] == 0
    one, until = told(vault.hold_list, settings)[1]["holds"]
    assert moment(one["from"]) == moment("2026-11-24T00:00+07:00") and moment(one["to"]) == moment(
        "2026-11-25T00:00+07:00"
    )
    assert moment(until["to"]) == moment("2026-11-24T17:30+07:00")
    with pytest.raises(SystemExit):
        vault.hold_add(name="ba", reason=REASON, begins="2026-11-24", ends="2026-11-24", data=settings.data)
    assert "from 2026-11-24T00:00+07:00 until before 2026-11-25T00:00+07:00" in capsys.readouterr().out
    with pytest.raises(Failure, match="2026-11-25T00:00[+]07:00 >= 2026-11-25T00:00[+]07:00"):
        vault.hold_add(
            name="bon", reason=REASON, begins="2026-11-25", ends="2026-11-24", data=settings.data, as_json=True
        )


def test_a_second_hold_tells_what_another_holds_for_it_already(
    settings: Settings, told: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "0 bodies" alone reads as if nothing were kept."""
    held = put(settings, "request", BODY)
    assert told(vault.hold_add, settings, name="vu-an-7", reason=REASON, transfer=[held])[1]["under_other_holds"] == 0
    found = told(vault.hold_add, settings, name="vu-an-8", reason=REASON, transfer=[held])[1]
    assert (found["bodies"], found["under_other_holds"]) == (0, 1)
    assert [each["under_other_holds"] for each in told(vault.hold_list, settings)[1]["holds"]] == [0, 1]
    with pytest.raises(SystemExit):
        vault.hold_list(settings.data)
    assert (
        "vu-an-8                  in force  0 bodies (+ 1 under other holds / dưới lệnh khác)"
        in capsys.readouterr().out
    )


def test_what_went_well_is_told_in_both_languages(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer = put(settings, "request", BODY)
    commands: tuple[tuple[Callable[[], object], str], ...] = (
        (
            lambda: vault.hold_add(name="vu-an-7", reason=REASON, transfer=[transfer], data=settings.data),
            "lệnh lưu giữ vu-an-7: 0 giao dịch",
        ),
        (lambda: vault.hold_release("vu-an-7", REASON, settings.data), "đã kết thúc lệnh lưu giữ vu-an-7"),
        (
            lambda: audit_body(transfer, REASON, out=tmp_path / "out", data=settings.data),
            "15 trên 15 byte; việc đọc đã ghi vào nhật ký",
        ),
        (lambda: vault.vault_status(settings.data), "đến nay đã hủy 0 khóa"),
    )
    for done, said in commands:
        with pytest.raises(SystemExit) as end:
            done()
        assert end.value.code == 0 and f" / {said}" in capsys.readouterr().out


def test_a_name_that_nobody_knows_is_refused(settings: Settings, told: Any) -> None:
    with writing(open_engine(settings.database_url)) as connection:
        row = {
            "code": "H14.5",
            "name_vi": "a",
            "name_en": "a",
            "level": "province",
            "roles": "[]",
            "contact": "{}",
            "state": "active",
        }
        connection.execute(insert(tables.agency).values(**row))
    code, found = told(vault.hold_add, settings, name="mot", reason=REASON, agency="H14.55")
    assert (code, found["error"]["code"]) == (2, "unknown-agency") and "H14.5" in found["error"]["next"]
    code, found = told(vault.hold_add, settings, name="hai", reason=REASON, agency="H14.5", contract="incident-alert")
    assert (code, found["error"]["code"]) == (2, "unknown-contract") and told(vault.hold_list, settings)[1][
        "holds"
    ] == []
    assert told(vault.hold_add, settings, name="ba", reason=REASON, agency="H14.5")[0] == 0

    def search(since: str | None = None, until: str | None = None, **conditions: str) -> tuple[int, str | None]:
        ended, said = told(audit_search, settings, since=since, until=until, limit=5, **conditions)
        return ended, said.get("error", {}).get("code")

    for what, value in {
        "agency": "H14.55",
        "system": "x",
        "contract": "incident-alert",
        "grant": "G",
        "failure": "no.such",
    }.items():
        assert search(**{what: value}) == (2, f"unknown-{what}")
    assert search("2026-11-25", "2026-11-24") == (2, "bad-range")
    assert search("2026-11-24", "2026-11-24", agency="H14.5", failure="access.no-grant") == (0, None)


def test_ids_of_transfers_are_taken_in_large_letters_and_others_point_to_the_journey(
    settings: Settings, tmp_path: Path, told: Any
) -> None:
    transfer = put(settings, "request", BODY)
    assert told(audit_body, settings, transfer=transfer.upper(), reason=REASON)[0] == 0
    assert told(audit_show, settings, transfers=[transfer.upper()])[0] == 0
    for ended, said in (
        told(audit_body, settings, transfer="PA-2026-0117", reason=REASON),
        told(audit_show, settings, transfers=["PA-2026-0117"]),
        told(audit_package, settings, transfer="PA-2026-0117", out=tmp_path / "out", reason=REASON),
    ):
        assert (ended, said["error"]["code"]) == (
            2,
            "no-transfer-id",
        ) and "audit journey PA-2026-0117 --system" in said["error"]["next"]


def test_denied_finds_what_was_refused_alone(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    made: list[form.Entry] = [
        form.Note(new_id(), now, "export", "lan", {"entries": 3}),
        form.Refusal(new_id(), now, "rest", "access.no-grant", 403, form.Caller("H14.5", "phan-anh")),
    ]
    with writing(open_engine(settings.database_url)) as connection:
        making.write(connection, [(now, form.freeze(each)) for each in made])
    for denied, heads in ((True, ["H14.5/phan-anh"]), (False, ["H14.5/phan-anh", "lan"])):
        with pytest.raises(SystemExit):
            audit_search(denied=denied, limit=5, data=settings.data)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(heads) and all(head in line for head, line in zip(heads, lines, strict=True)), lines

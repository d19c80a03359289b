"""Dropped files through the exchange: grant, log, vault, feed, reports; the same file once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import update

from contracts.wire.jsontext import read_json
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.vault.salting import unpack
from gateway.vault.vault import Vault
from tests.doors.files.dropping import BAD, CSV, SAMPLES, XLSX, Place, apply, changed, dropped, edited, fresh, grant

TWIN = json.loads((SAMPLES / "chi-tieu-csv" / "IndicatorValues.quy-3.canonical.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "data"), [("quy-3_csv", CSV), ("quy-3_xlsx", XLSX)])
def test_a_dropped_table_stands_in_the_feed_and_in_the_log(place: Place, name: str, data: bytes) -> None:
    dropped(place, **{name: data})
    assert place.look() == 1
    assert place.fed() == [TWIN] and place.phases() == ["intent", "outcome"]
    (report,) = place.reports()
    digest = hashlib.sha256(data).hexdigest()
    ending = name.rpartition("_")[2]
    assert (
        report["result"] == "accepted" and report["lines"] == {"taken": 3, "refused": 0} and report["sha256"] == digest
    )
    assert set(report["receipt"]) == {"intent", "outcome"}
    assert (
        place.where() == ["accepted"]
        and (place.drop / "accepted" / f"quy-3.{report['transfer']}.{ending}").read_bytes() == data
    )
    row = "select id, state, caller_system, message_id, grant_id, status from transfer"
    assert place.rows(row) == [(report["transfer"], "accepted", "so-lieu", f"sha256:{digest}", "G-0007", 200)]
    (intent,) = [json.loads(entry) for (entry,) in place.rows("select entry from log_pending where phase = 'intent'")]
    assert intent["caller"] == {"agency": "H14.4", "system": "so-lieu"} and intent["door"] == "files"
    engine = open_engine(f"sqlite:///{place.data / 'lgsp.db'}")
    with engine.connect() as connection:
        _, evidence = unpack(Vault(place.data / "keys").open(connection, f"{report['transfer']}/request"))
    engine.dispose()
    head, _, body = evidence.partition(b"\r\n\r\n")
    assert (
        body == data
        and head.startswith(f"PUT file:/so-lieu/quy-3.{ending} HTTP/1.1".encode())
        and b"content-digest: sha-256=:" in head
    )


def test_the_same_file_twice_is_one(place: Place) -> None:
    dropped(place, mot_csv=CSV)
    place.look()
    dropped(place, hai_csv=CSV)
    place.now[0] += 86_400
    place.look()
    first, second = place.reports()
    assert (first["result"], second["result"]) == ("accepted", "repeated") and second["first"] == first["transfer"]
    assert (
        len(place.fed()) == 1
        and place.phases() == ["intent", "outcome", "repeat"]
        and place.where() == ["accepted"] * 2
    )


def test_good_lines_are_taken_and_bad_ones_reported(place: Place) -> None:
    dropped(place, xau_csv=BAD)
    place.look()
    (report,) = place.reports()
    assert (
        report["result"] == "partly-accepted" and report["lines"] == {"taken": 1, "refused": 2} and report["found"] == 2
    )
    assert [
        (each["line"], each["column"], each["canonical"], each["rule"], each["vi"]) for each in report["findings"]
    ] == [
        (2, "Mã chỉ tiêu", "values[0].indicator", "code", "mã không có trong danh mục"),
        (5, "Giá trị", "values[2].value", "type", "sai kiểu giá trị"),
    ]
    assert place.fed() == [{"values": [TWIN["values"][1]]}] and place.where() == ["accepted"]
    told, *lines = place.table("xau")[1:]
    assert (
        told[2].startswith("đã nhận một phần: 1 dòng nhận, 2 dòng không nhận")
        and told[3].startswith("sửa các dòng")
        and "partly accepted" in told[5]
    )
    assert [row[:2] for row in lines] == [["2", "Mã chỉ tiêu"], ["5", "Giá trị"]]
    assert lines[1][3:5] == ["số thập phân dùng dấu phẩy, ví dụ 12,5", lines[1][4]] and lines[1][6].startswith(
        "a decimal number with a comma"
    )
    assert "KT-99" not in json.dumps(report), "a report never quotes a value"


def test_a_key_twice_in_a_file_is_named_by_line_and_title(place: Place) -> None:
    line = next(each for each in CSV.splitlines(keepends=True) if b"MT-04" in each)
    dropped(place, hai_csv=CSV.replace(line, line + line.replace(b"41,07", b"42,07")))
    place.look()
    (report,) = place.reports()
    (finding,) = report["findings"]
    assert (report["problem"]["code"], finding["rule"]) == ("message.key-taken", "key")
    assert (finding["line"], finding["column"]) == (6, "Mã chỉ tiêu, Mã địa bàn, Kỳ báo cáo")
    assert place.table("hai")[2][:3] == ["6", finding["column"], "khóa nghiệp vụ đã có nội dung khác"]


def test_where_the_contract_says_all_or_nothing_one_bad_line_refuses_the_file(tmp_path: Path) -> None:
    place = fresh(tmp_path, bundle=changed({"contract.yaml": ("    partial: accept\n", "")}))
    dropped(place, xau_csv=BAD, tot_csv=CSV)
    place.look()
    by_name = {each["file"]: each for each in place.reports()}
    assert by_name["xau.csv"]["result"] == "refused" and by_name["xau.csv"]["problem"]["code"] == "message.invalid"
    assert by_name["xau.csv"]["found"] == 2 and by_name["tot.csv"]["result"] == "accepted"
    assert len(place.fed()) == 1 and place.where() == ["accepted", "refused"]
    assert sorted(place.phases()) == ["intent", "outcome", "refusal"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a_csv", b"\xff\xfe", "message.invalid"),
        ("a_csv", b"", "message.invalid"),
        ("a_csv", "Mã;Giá trị\n1;2\n".encode(), "message.invalid"),
        ("a_xlsx", CSV, "message.invalid"),
        ("a_pdf", CSV, "file.no-rule"),
        ("a_csv", b"x" * 100_001, "file.too-large"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_reason_and_logged(
    place: Place, name: str, data: bytes, code: str
) -> None:
    dropped(place, **{name: data})
    place.look()
    (report,) = place.reports()
    assert report["result"] == "refused" and report["problem"]["code"] == code and set(report["receipt"]) == {"refusal"}
    assert set(report["problem"]["messages"]) == {"vi", "en"} and len(place.table("a.")) > 1
    assert place.where() == ["refused"] and place.phases() == ["refusal"] and place.fed() == []


def test_another_delimiter_is_one_finding_that_says_which_is_meant(place: Place) -> None:
    dropped(place, a_csv=CSV.replace(b",", b".").replace(b";", b","))
    place.look()
    (report,) = place.reports()
    assert [each["rule"] for each in report["findings"]] == ["file"]
    told, line = place.table("a.")[1:]
    assert told[3] == "Sửa các chỗ nêu dưới đây rồi thả lại tệp." and line[3].startswith(
        "dòng tên cột, cách nhau bằng dấu “;”: Mã chỉ tiêu, "
    )


def test_a_good_file_and_a_repeated_one_are_told_in_the_first_line(place: Place) -> None:
    dropped(place, tot_csv=CSV)
    place.look()
    assert [row[2] for row in place.table("tot")[1:]] == ["đã nhận: 3 dòng nhận, 0 dòng không nhận"]
    dropped(place, lai_csv=CSV)
    place.look()
    assert [row[2] for row in place.table("lai")[1:]] == ["tệp này đã được nhận trước đây, không nhận lại"]


def test_a_header_that_does_not_fit_is_reported_by_line_and_title(place: Place) -> None:
    dropped(place, a_csv=CSV.replace("Giá trị".encode(), b"=HYPERLINK(1)"))
    place.look()
    (report,) = place.reports()
    assert [(each["line"], each["column"], each["rule"]) for each in report["findings"]] == [
        (1, "=HYPERLINK(1)", "unknown"),
        (1, "Giá trị", "required"),
    ]
    assert ["1", "'=HYPERLINK(1)"] in [row[:2] for row in place.table("a.")], (
        "nothing of the sender's is run by whoever opens the report"
    )


def test_what_a_workbook_hides_is_told_in_both_languages_also_if_it_is_refused(place: Place) -> None:
    for name, value in (("an", 41.07), ("xau", "x")):
        book = openpyxl.load_workbook(io.BytesIO(XLSX))
        sheet = book["Số liệu"]
        sheet["H6"] = value
        sheet.row_dimensions[6].hidden = sheet.column_dimensions["H"].hidden = True
        book.create_sheet("Nháp").sheet_state = "hidden"
        out = io.BytesIO()
        book.save(out)
        dropped(place, **{f"{name}_xlsx": out.getvalue()})
        place.look()
    for report, name in zip(place.reports(), ("an", "xau"), strict=True):
        hidden = report["hidden"]
        assert (hidden["rows"], hidden["columns"], hidden["sheet"]) == ([6], ["Giá trị"], None)
        assert "Nháp" in hidden["sheets"] and len(hidden["vi"]) == len(hidden["en"]) == 3
        said = place.table(name)[2:5]
        assert [row[2] for row in said] == hidden["vi"] and [row[5] for row in said] == hidden["en"]
    assert [report["lines"]["refused"] for report in place.reports()] == [0, 1]


def test_without_a_grant_nothing_is_taken_and_with_one_the_same_file_is(place: Place) -> None:
    apply(place, edited(without="G-0007"))
    dropped(place, a_csv=CSV)
    place.look()
    (report,) = place.reports()
    assert report["result"] == "refused" and report["problem"]["code"].startswith("access.") and place.fed() == []
    apply(place, edited(again="G-0007"))
    dropped(place, a_csv=CSV)
    place.look()
    assert [each["result"] for each in place.reports()] == ["refused", "accepted"] and len(place.fed()) == 1


def test_a_suspended_system_hands_in_nothing(place: Place) -> None:
    apply(place, edited(system={"state": "suspended"}))
    dropped(place, a_csv=CSV)
    place.look()
    (report,) = place.reports()
    assert report["problem"]["code"] == "channel.suspended" and place.fed() == [] and place.phases() == ["refusal"]


def test_a_folder_that_is_taken_away_is_made_again(place: Place) -> None:
    with place.process() as files:
        asyncio.run(files.look())
        shutil.rmtree(place.drop)
        for _ in range(2):
            asyncio.run(files.look())
            place.now[0] += 6
        dropped(place, a_csv=CSV)
        asyncio.run(files.look())
    assert place.where() == ["accepted"]


# --- each line a message of its own -----------------------------------------------------------------------------------

OPERATION = """  submitOne:
    pattern: submit
    method: POST
    path: /one
    request: IndicatorValue
    answer: Accepted
    title: {vi: Nộp một giá trị, en: Hand in one value}
protection: signed"""


def line_by_line(folder: Path, partial: bool) -> Place:
    operation = OPERATION.replace("    title", "    partial: accept\n    title") if partial else OPERATION
    table = (SAMPLES.parent / "systems" / "chi-tieu-csv.yaml").read_text("utf-8")
    table = table.replace("IndicatorValues:\n    each: values[]", "IndicatorValue:").replace('"values[].', '"')
    bundle = changed({"contract.yaml": ("protection: signed", operation)}, {"systems/tung-dong.yaml": table})
    rules = [{"match": "*.csv", "contract": "indicator/v1", "operation": "submitOne", "format": "tung-dong"}]
    return fresh(folder, edited(rules=rules, grants=[grant("indicator/v1", "submitOne")]), bundle)


def test_each_line_is_a_transfer_of_its_own_and_the_file_is_kept_once(tmp_path: Path) -> None:
    place = line_by_line(tmp_path, partial=True)
    dropped(place, a_csv=CSV, xau_csv=BAD)
    place.look()
    by_name = {each["file"]: each for each in place.reports()}
    assert by_name["a.csv"]["result"] == "accepted" and len(set(by_name["a.csv"]["transfers"])) == 3
    assert by_name["xau.csv"]["lines"] == {"taken": 1, "refused": 2} and len(place.fed()) == 4
    assert sorted(set(place.phases())) == ["file", "intent", "outcome"] and place.phases().count("file") == 2
    ids = {id for (id,) in place.rows("select id from vault where id like '%/request'")}
    assert f"{by_name['a.csv']['transfer']}/request" in ids
    messages = [message for (message,) in place.rows("select message_id from transfer order by message_id")]
    assert f"sha256:{by_name['a.csv']['sha256']}:2" in messages and len(messages) == 4
    dropped(place, b_csv=CSV)
    place.look()
    assert {each["file"]: each["result"] for each in place.reports()}["b.csv"] == "repeated" and len(place.fed()) == 4


def test_all_or_nothing_holds_for_lines_too(tmp_path: Path) -> None:
    place = line_by_line(tmp_path, partial=False)
    dropped(place, xau_csv=BAD)
    place.look()
    (report,) = place.reports()
    assert report["result"] == "refused" and place.fed() == [] and place.phases() == ["refusal"]


def test_the_numbers_of_a_file_are_exact_in_the_feed(place: Place) -> None:
    dropped(place, a_csv=CSV.replace(b"612,450", b"12345678901234567890,123456789012345678901"))
    place.look()
    engine = open_engine(f"sqlite:///{place.data / 'lgsp.db'}")
    with engine.connect() as connection:
        (ref,) = [ref for (ref,) in place.rows("select body_ref from feed_pending")]
        body = read_json(Vault(place.data / "keys").open(connection, ref))
    engine.dispose()
    assert str(body["values"][0]["value"]) == "12345678901234567890.123456789012345678901"


def test_a_file_with_the_mark_of_something_else_is_carried_under_its_own(place: Place) -> None:
    """Whoever may write into the folder may write into work/ too: what a mark says there is believed only of the same
    bytes of the same system."""
    dropped(place, **{"quy-3_csv": CSV})
    place.look()
    (first,) = place.reports()
    other = CSV.replace(b"41,07", b"42,08")
    (place.drop / "work" / f"{first['transfer']}~khac.csv").write_bytes(other)
    place.look()
    _, second = place.reports()
    assert second["result"] == "accepted" and second["transfer"] != first["transfer"]
    assert len(place.fed()) == 2 and place.rows("select count(*) from transfer") == [(2,)]
    engine = open_engine(f"sqlite:///{place.data / 'lgsp.db'}")
    with writing(engine) as connection:  # the transfer of somebody else
        connection.execute(
            update(tables.transfer).where(tables.transfer.c.id == first["transfer"]).values(caller_system="mot-cua")
        )
    engine.dispose()
    (place.drop / "work" / f"{first['transfer']}~lai.csv").write_bytes(CSV)
    place.look()
    assert [each["transfer"] for each in place.reports()].count(first["transfer"]) == 1, (
        "nothing of it is told to another system"
    )


def test_a_quota_counts_files_and_a_repeat_is_told_even_when_it_is_full(place: Place) -> None:
    limited = grant("indicator/v1", "submitValues") | {"quota": {"calls": 1, "per": "month"}}
    apply(place, edited(without="G-0007", grants=[limited]))
    dropped(place, mot_csv=CSV)
    place.look()
    # In one process: the first finds the quota full in the journal, the second is refused by the look before, the third
    # is a repeat.
    dropped(place, a_csv=CSV.replace(b"41,07", b"41,08"), b_csv=CSV.replace(b"41,07", b"41,09"), c_csv=CSV)
    place.look()
    assert sorted(each["result"] for each in place.reports()) == ["accepted", "refused", "refused", "repeated"]
    assert {each["problem"]["code"] for each in place.reports() if each["result"] == "refused"} == {"access.quota"}
    assert (
        place.rows("select grant_id, agency, per, used from quota_use") == [("G-1", "H14.4", "month", 1)]
        and len(place.fed()) == 1
    )

"""`lgsp contract new`, `import-wsdl`, `import-openapi`, `try`: what they print, write and answer, for people and for
programs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import catalogue_folders
from contracts.folder.todo_markers import MARK
from contracts.proof.tryout import try_out
from tests import commandline
from tests.contracts import seeded
from tests.contracts.conftest import catalogue  # noqa: F401  a fixture

FIELD_REPORT = next(folder for folder in catalogue_folders() if folder.parent.name == "field-report")
SAMPLES = FIELD_REPORT / "samples" / "do-thi-xml"
ONE_WAY = Path(__file__).parents[2] / "examples" / "onboarding" / "muc-nuoc.wsdl"
POT_HOLE = SAMPLES / "ServiceRequest.o-ga-kim-dong.xml"

WSDL = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t"><wsdl:types><xs:schema targetNamespace="urn:t">
 <xs:import namespace="urn:u" schemaLocation="http://nowhere.example/u.xsd"/>LINK
 <xs:element name="Hoi"><xs:complexType><xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
 </xs:schema></wsdl:types><wsdl:message name="M"><wsdl:part name="p" element="t:Hoi"/></wsdl:message>
 <wsdl:portType name="P"><wsdl:operation name="Hoi"><wsdl:input message="t:M"/><wsdl:output message="t:M"/></wsdl:operation></wsdl:portType>
 <wsdl:service name="HoChua"/></wsdl:definitions>"""  # noqa: E501


def run(*words: object, stdin: bytes | None = None) -> tuple[int, str]:
    done = commandline.lgsp("contract", *map(str, words), given=stdin or b"")
    return done.code, done.out + done.err


def answer(*words: object, stdin: bytes | None = None) -> tuple[int, Any]:
    code, text = run(*words, "--json", stdin=stdin)
    return code, json.loads(text)


def filled(folder: Path) -> None:
    """Something written at every mark."""
    for path in folder.rglob("*.*"):
        text = re.sub(rf"  # {MARK}:.*", "", path.read_text("utf-8"))
        text = re.sub(rf"{MARK}: [^\"]*", "Đã điền", text)
        path.write_text(text.replace(MARK, "Mẫu."), "utf-8")


def test_new_is_taken_up_by_check_which_names_what_is_left(tmp_path: Path) -> None:
    code, made = answer("new", "phuong-tien", "--out", tmp_path / "phuong-tien")
    folder = Path(made["folder"])
    assert code == 0 and folder == tmp_path / "phuong-tien" / "v1" and made["contract"] == "phuong-tien/v1"
    code, report = answer("check", folder)
    (contract,) = report["contracts"]
    assert code == 1 and {found["rule"] for found in contract["findings"]} == {"left-open"}
    assert len(contract["proved"]) >= 4, "all but the marks holds"
    files = {found["here"].partition(":")[0] for found in contract["findings"]}
    assert files >= {
        "contract.yaml",
        "schema.json",
        "systems/phuong-tien-json.yaml",
        "samples/phuong-tien-json/PhuongTien.mau.json",
    }
    assert all(re.fullmatch(r"\S+:[0-9]+", found["here"]) and found["expected"] for found in contract["findings"])
    filled(folder)
    assert answer("check", folder)[1]["ok"]


@pytest.mark.parametrize("bad", ["Phương tiện", "../x", "a b", "A"])
def test_new_wants_an_id(bad: str, tmp_path: Path) -> None:
    code, made = answer("new", bad, "--out", tmp_path / "x")
    assert code == 2 and made["error"]["code"] == "bad-id" and not (tmp_path / "x").exists()


def test_import_writes_a_folder_and_never_over_another(tmp_path: Path) -> None:
    (tmp_path / "a.wsdl").write_text(WSDL.replace("LINK", ""))
    code, text = run("import-wsdl", tmp_path / "a.wsdl", "--out", tmp_path / "ho-chua")
    assert (
        code == 0
        and "http://nowhere.example/u.xsd was not loaded" in text
        and f"marked {MARK}" in text
        and "đánh dấu" in text
    )
    code, made = answer("import-wsdl", tmp_path / "a.wsdl", "--out", tmp_path / "ho-chua")
    assert code == 2 and made["error"]["code"] == "not-empty"
    filled(tmp_path / "ho-chua" / "v1")
    assert answer("check", tmp_path / "ho-chua" / "v1")[1]["ok"]


def test_import_reads_inside_its_folder_only(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.xsd").write_text('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><!DOCTYPE')
    (inside / "link.xsd").symlink_to(tmp_path / "secret.xsd")
    (inside / "a.wsdl").write_text(
        WSDL.replace("LINK", '<xs:include schemaLocation="link.xsd"/><xs:include schemaLocation="../secret.xsd"/>')
    )
    code, made = answer("import-wsdl", inside / "a.wsdl", "--out", tmp_path / "o")
    assert code == 0 and [note["en"].split()[0] for note in made["notes"] if note["code"] == "not-loaded"] == [
        "http://nowhere.example/u.xsd",
        "link.xsd",
        "../secret.xsd",
    ]
    extra = tmp_path / "with"
    extra.mkdir()
    (extra / "u.xsd").write_text('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:u"/>')
    (inside / "a.wsdl").write_text(WSDL.replace("LINK", ""))
    code, made = answer("import-wsdl", inside / "a.wsdl", "--out", tmp_path / "o2", "--with", extra, "--id", "muc-nuoc")
    assert (
        code == 0 and made["contract"] == "muc-nuoc/v1" and "not-loaded" not in {note["code"] for note in made["notes"]}
    )


def test_import_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"swagger": "2.0"}')
    code, made = answer("import-openapi", tmp_path / "a.json", "--out", tmp_path / "o")
    assert code == 2 and made["error"]["code"] == "import.unreadable" and not (tmp_path / "o").exists()
    code, made = answer("import-wsdl", tmp_path / "a.json", "--out", tmp_path / "o")
    english, vietnamese = made["error"]["what"].split(" / ")
    assert "The XML cannot be read" in english and "Không đọc được XML" in vietnamese
    assert "import-openapi" in made["error"]["next"]
    code, made = answer("import-openapi", tmp_path / "no.json", "--out", tmp_path / "o")
    assert code == 2 and made["error"]["code"] == "import.unreadable"


def test_try_shows_each_stage() -> None:
    code, text = run("try", FIELD_REPORT, "--format", "do-thi-xml", POT_HOLE)
    assert code == 0
    stages = re.findall(r"^([0-9])\. (\S+)", text, re.MULTILINE)
    assert [number for number, _ in stages] == [str(each) for each in range(1, len(stages) + 1)]
    assert [name for _, name in stages][:5] == ["parsed", "canonical", "canonical", "canonical", "do-thi-xml"]
    assert '"service_code": "duong-sa"' in text and "<dt:LinhVuc>101</dt:LinhVuc>" in text
    code, made = answer("try", FIELD_REPORT, "--format", "do-thi-xml", POT_HOLE)
    assert code == 0 and made["message"] == "ServiceRequest" and json.loads(made["canonical"])["lat"] == 22.6659
    assert {each["outcome"] for each in made["written"]} <= {"same", "with-losses"}
    assert {(each["format"], each["media"]) for each in made["written"]} >= {
        ("canonical", "json"),
        ("canonical", "xml"),
        ("do-thi-xml", "xml"),
    }


def test_try_reads_an_envelope_and_standard_input() -> None:
    message = POT_HOLE.read_bytes()
    message = message[message.index(b"<dt:") :]
    envelope = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        + message
        + b"</s:Body></s:Envelope>"
    )
    assert answer("try", FIELD_REPORT, "--format", "do-thi-xml", "-", stdin=envelope)[0] == 0


def test_try_names_what_is_wrong_in_both_paths() -> None:
    broken = re.sub(rb"<dt:LinhVuc>.*?</dt:LinhVuc>", b"<dt:LinhVuc>1</dt:LinhVuc>", POT_HOLE.read_bytes())
    code, made = answer("try", FIELD_REPORT, "--format", "do-thi-xml", "-", stdin=broken)
    assert code == 1 and made["canonical"] is None and made["refused"]["code"] == "message.invalid"
    found = made["findings"][0]
    assert (found["here"], found["canonical"], found["rule"]) == ("dt:PhieuPhanAnh/dt:LinhVuc", "service_code", "code")
    text = run("try", FIELD_REPORT, "--format", "do-thi-xml", "-", stdin=broken)[1]
    assert "dt:PhieuPhanAnh/dt:LinhVuc ↔ service_code" in text


def test_try_of_every_sample_of_the_catalogue(catalogue: dict[str, CompiledContract]) -> None:  # noqa: F811
    outcomes: Counter[str] = Counter()
    for compiled in catalogue.values():
        for sample in compiled.samples:
            made = try_out(compiled, sample.format, sample.raw, sample.message)
            assert made.ok, (compiled.contract.name, sample.name, made.failure)
            assert all(each.losses for each in made.written if each.outcome == "with-losses")
            outcomes.update(each.outcome for each in made.written)
    assert set(outcomes) == {"same", "with-losses", "not-expressible"}


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--format", "khong", POT_HOLE], 2, "no-format"),
        (["--format", "do-thi-xml", "nowhere.xml"], 2, "no-file"),
        (["--format", "canonical", "-"], 2, "no-message"),
        (["--format", "canonical", "--message", "Khong", "-"], 2, "no-message"),
    ],
)
def test_try_tells_wrong_usage(words: list[object], code: int, error: str) -> None:
    got, made = answer("try", FIELD_REPORT, *words, stdin=b"{}")
    assert got == code and made["error"]["code"] == error


def test_try_names_the_folder_of_the_version(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", POT_HOLE):
        code, made = answer("try", folder, "--format", "canonical", "-", stdin=b"{}")
        assert code == 2 and made["error"]["code"] == "no-contract"
    code, made = answer("try", FIELD_REPORT.parent, "--format", "canonical", "-", stdin=b"{}")
    assert code == 2 and str(FIELD_REPORT) in made["error"]["next"]


def test_try_of_bytes_that_are_nothing() -> None:
    for raw in (b"", b"<a/>", b"<", b"{", b"\xff", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'):
        code, made = answer("try", FIELD_REPORT, "--format", "do-thi-xml", "-", stdin=raw)
        assert code == 1 and made["canonical"] is None and made["refused"]["vi"]


def test_try_of_a_file_of_lines(tmp_path: Path) -> None:
    folder = next(each for each in catalogue_folders() if each.parent.name == "indicator")
    sample = folder / "samples" / "chi-tieu-xlsx" / "IndicatorValues.quy-3.xlsx"
    code, made = answer("try", folder, "--format", "chi-tieu-xlsx", sample)
    assert code == 0 and made["message"] == "IndicatorValues"
    assert {each["format"]: each["outcome"] in ("same", "with-losses") for each in made["written"]}["chi-tieu-csv"]
    assert all("bytes" in each["text"] for each in made["written"] if each["media"] == "xlsx")
    code, made = answer("try", folder, "--format", "chi-tieu-csv", "--message", "IndicatorValues", "-", stdin=b"")
    assert code == 1 and made["refused"]["code"] == "message.invalid"


def test_an_import_that_takes_nothing_says_why_in_both_languages_with_places(tmp_path: Path) -> None:
    text = WSDL.replace("LINK", "").replace('element="t:Hoi"', 'element="u:Hoi" xmlns:u="urn:u"')
    (tmp_path / "a.wsdl").write_text(text)
    code, made = answer("import-wsdl", tmp_path / "a.wsdl", "--out", tmp_path / "x")
    assert code == 1 and made["error"]["code"] == "import.nothing" and not (tmp_path / "x").exists()
    head, *reasons = made["error"]["what"].splitlines()
    assert "không có thao tác nào" in head and len(reasons) >= 2
    assert all(re.match(r"\s+a\.wsdl:\d+.*: [a-z0-9-]+: .+ / .+", each) for each in reasons) and any(
        "nowhere.example" in each for each in reasons
    )


def test_check_tells_people_which_field_a_table_does_not_name(tmp_path: Path) -> None:
    code, text = run("check", seeded.build("table-field-not-named", tmp_path))
    assert code == 1 and re.search(r"systems/\S+:\d+ \(\w+\): table: .+; thấy / found: .+ / an optional field", text), (
        text
    )


@pytest.mark.full
def test_check_of_several_puts_like_things_in_one_line_and_ends_with_the_sum() -> None:
    code, text = run("check", FIELD_REPORT.parents[1])
    lines = text.splitlines()
    assert code == 0 and lines[-1] == "9 hợp đồng, 9 đạt / 9 contracts, 9 ok"
    assert sum("mẫu: đọc được" in line for line in lines) == 9 and len(lines) < 150
    untold = [
        line
        for line in lines
        if line.startswith("       ") and line.strip().partition(" / ")[0] == line.strip().partition(" / ")[2]
    ]
    assert untold == []


TWO_WAY = WSDL.replace("LINK", "")
TEXT = '<xs:element name="a" type="xs:string"/>'
SEVERAL_TEXTS = TWO_WAY.replace(TEXT, "".join(TEXT.replace('"a"', f'"{name}"') for name in "abc"))  # marks of one line


@pytest.mark.parametrize("wsdl", [TWO_WAY, SEVERAL_TEXTS, None], ids=["two-way", "several-texts", "one-way"])
def test_import_and_check_count_and_name_the_same_marks(tmp_path: Path, wsdl: str | None) -> None:
    file = tmp_path / "dich-vu.wsdl"
    file.write_text(wsdl or ONE_WAY.read_text("utf-8"), "utf-8")
    code, made = answer("import-wsdl", file, "--out", tmp_path / "hoi")
    assert code == 0
    code, report = answer("check", made["folder"])
    left = [each["here"] for each in report["contracts"][0]["findings"] if each["rule"] == "left-open"]
    assert code == 1 and left and len(left) == made["left_open"]
    assert [each["place"] for each in made["marks"]] == left
    _, text = run("import-wsdl", file, "--out", tmp_path / "again")
    assert f"{len(left)} places are marked {MARK}" in text


def test_a_two_way_operation_says_how_it_was_drafted_and_how_to_choose(tmp_path: Path) -> None:
    file = tmp_path / "dich-vu.wsdl"
    file.write_text(WSDL.replace("LINK", "").replace('operation name="Hoi"', 'operation name="NopSoLieu"'), "utf-8")
    code, made = answer("import-wsdl", file, "--out", tmp_path / "goi")
    assert code == 0 and made["two_way"] == [{"operation": "NopSoLieu", "pattern": "dispatch"}]
    assert "pattern: dispatch" in Path(made["folder"], "contract.yaml").read_text("utf-8")
    _, text = run("import-wsdl", file, "--out", tmp_path / "text")
    assert "--submit NopSoLieu" in text and "Lập lại" in text
    code, made = answer("import-wsdl", file, "--out", tmp_path / "nop", "--submit", "NopSoLieu")
    contract = Path(made["folder"], "contract.yaml").read_text("utf-8")
    assert code == 0 and made["two_way"] == [] and "pattern: submit" in contract and "answer: Accepted" in contract
    filled(Path(made["folder"]))
    assert not [
        each for each in answer("check", made["folder"])[1]["contracts"][0]["findings"] if "yaml" in each["here"]
    ]
    code, error = answer("import-wsdl", file, "--out", tmp_path / "la", "--submit", "KhongCo")
    assert code in (1, 2) and "KhongCo" in json.dumps(error) and not (tmp_path / "la" / "v1" / "contract.yaml").exists()
    one_way = answer("import-wsdl", ONE_WAY, "--out", tmp_path / "mot-chieu")[1]
    assert one_way["two_way"] == []


def test_try_writes_the_missing_twin_of_a_sample_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    shutil.copytree(FIELD_REPORT, folder)
    sample = folder / "samples" / "do-thi-xml" / POT_HOLE.name
    twin = sample.with_name("ServiceRequest.o-ga-kim-dong.canonical.json")
    before = twin.read_text("utf-8")
    words = ("try", folder, sample, "--format", "do-thi-xml", "--write")
    code, told = answer(*words)
    assert code == 0 and "twin" not in told and twin.read_text("utf-8") == before  # what is there stays
    twin.unlink()
    code, told = answer(*words)
    assert code == 0 and told["twin"] == str(twin) and json.loads(twin.read_text("utf-8")) == json.loads(before)
    assert answer("check", folder)[1]["contracts"][0]["ok"]
    twin.unlink()
    sample.write_text("<x/>", "utf-8")
    assert answer(*words)[0] != 0 and not twin.exists()  # refused: what it means is not known
    elsewhere = tmp_path / "ServiceRequest.khac.xml"
    shutil.copy(POT_HOLE, elsewhere)
    code, error = answer("try", folder, elsewhere, "--format", "do-thi-xml", "--write")
    assert (code, error["error"]["code"]) == (2, "no-sample") and "samples/do-thi-xml" in error["error"]["next"]

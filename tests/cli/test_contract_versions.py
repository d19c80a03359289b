"""`lgsp contract diff`, `publish` and `show` as people and programs use them: words, exit codes, one JSON object."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.database import open_engine
from gateway.registry.seals.sealing import Seal
from gateway.sandbox.officers import sign_waiting
from gateway.settings import Settings
from tests import commandline
from tests.registry.editions import NAME, Edit, answer_field, begin_at_first, edition, swap, written


@pytest.fixture(scope="module")
def sandbox(sandbox: Settings) -> Settings:
    sign = partial(sign_waiting, settings=sandbox, now=time.time())
    begin_at_first(open_engine(sandbox.database_url), sign, Seal.of(sandbox))
    return sandbox


def lgsp(settings: Settings, *words: str) -> commandline.Ended:
    return commandline.lgsp("contract", *words, "--data", str(settings.data))


def asked(settings: Settings, *words: str) -> tuple[int, Any]:
    code, out, _ = lgsp(settings, *words, "--json")
    return code, json.loads(out)


def folder(place: Path, version: str, *edits: Edit) -> str:
    return str(written(edition(version, *edits).files, place / version / "v1"))


SHORTER = swap("schema.json", '"maxLength": 60', '"maxLength": 30')


def test_diff_of_what_is_in_force_and_a_folder(sandbox: Settings, tmp_path: Path) -> None:
    code, told = asked(sandbox, "diff", NAME, folder(tmp_path, "1.1.0", SHORTER, answer_field("source")))
    assert (code, told["ok"], told["level"], told["old"]["version"], told["new"]["version"]) == (
        1,
        False,
        "major",
        "1.0.0",
        "1.1.0",
    )
    gravest = told["changes"][0]
    assert (gravest["code"], gravest["breaking"], gravest["file"]) == (
        "schema.bounds-narrowed",
        True,
        "schema.json",
    ) and gravest["line"] > 1
    assert gravest["words"]["vi"] and gravest["words"]["en"]
    code, out, _ = lgsp(sandbox, "diff", NAME, folder(tmp_path, "1.2.0", answer_field("source")))
    assert code == 0 and "thêm / minor  schema.field-added  schema.json:" in out
    assert (
        "Thêm trường IndicatorValue.source, không bắt buộc" in out
        and "The field IndicatorValue.source is added, and optional" in out
    )
    same = folder(tmp_path, "1.0.0")
    assert asked(sandbox, "diff", same, same)[1]["changes"] == []


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("diff", "khong-co/v1", NAME), 2, "unknown-contract"),
        (("diff", "khong co", NAME), 2, "no-contract"),
        (("diff", NAME, "incident-alert/v1"), 2, "other-contract"),
        (("publish", "/khong-co"), 2, "no-contract"),
        (("publish", "khong-co/v1", "--rollback"), 2, "unknown-contract"),
        (("publish", "incident-alert/v1", "--rollback"), 1, "contract.no-older"),
        (("show", "khong-co/v1"), 2, "unknown-contract"),
    ],
)
def test_mistakes(sandbox: Settings, words: tuple[str, ...], code: int, name: str) -> None:
    ended, told = asked(sandbox, *words)
    assert (ended, told["ok"], told["error"]["code"]) == (code, False, name) and told["error"]["next"]


@pytest.mark.full
def test_publish_refuse_show_and_go_back(sandbox: Settings, tmp_path: Path) -> None:
    code, out, err = lgsp(sandbox, "publish", folder(tmp_path, "1.1.0", SHORTER))
    assert (
        code == 1
        and not out
        and "contract.breaking" in err
        and "schema.json:" in err
        and "v2" in err
        and "hẹp lại" in err
    )
    broken = Path(folder(tmp_path, "1.0.5"))
    (broken / "samples" / "canonical" / "ValueQuery.che-phu-rung.json").write_text('{"indicator": 1}', "utf-8")
    code, told = asked(sandbox, "publish", str(broken))
    assert code == 1 and told["error"]["code"] == "contract.invalid"
    code, told = asked(sandbox, "publish", folder(tmp_path, "1.1.0", answer_field("source")))
    assert (code, told["moved"], told["version"], told["pinned"]) == (0, True, "1.1.0", {"kinh-te": "1.0"})
    code, out, _ = lgsp(sandbox, "publish", folder(tmp_path, "1.1.0", answer_field("source")))
    assert code == 0 and "đã có hiệu lực / in force already" in out
    _, told = asked(sandbox, "show", NAME)
    assert [(each["version"], each["in_force"], each["pinned"]) for each in told["versions"]] == [
        ("1.0.0", False, ["kinh-te"]),
        ("1.1.0", True, []),
    ]
    _, out, _ = lgsp(sandbox, "show")
    assert "→ 1.1.0" in out and "kinh-te" in out and "incident-alert/v1" in out
    code, told = asked(sandbox, "publish", NAME, "--rollback")
    assert (code, told["how"], told["version"], told["before"]["version"]) == (0, "rolled back", "1.0.0", "1.1.0")


@pytest.mark.full
def test_a_personal_field_is_shown_to_nobody_newly_without_its_name(sandbox: Settings, tmp_path: Path) -> None:
    """Refused with grants and agencies; accepted by name, and printed."""
    plain = '"soDienThoai": {"type": "string"}'
    marked = swap("schema.json", plain, '"soDienThoai": {"type": "string", "personal": "basic"}')
    place = folder(tmp_path, "1.9.0", answer_field("source"), answer_field("soDienThoai"), marked)
    code, told = asked(sandbox, "publish", place)
    assert (code, told["error"]["code"]) == (1, "contract.discloses")
    names = ["IndicatorValue.soDienThoai", "IndicatorValues.values[].soDienThoai"]
    _, _, err = lgsp(sandbox, "publish", place)
    assert all(f"--accept-personal {each}" in err for each in names) and "G-0005" in err and "H14.0" in err
    accepted = [word for name in names for word in ("--accept-personal", name)]
    code, told = asked(sandbox, "publish", place, *accepted)
    assert code == 0 and [each["field"] for each in told["disclosed"]] == names and told["warnings"] == []
    code, out, _ = lgsp(
        sandbox,
        "publish",
        folder(tmp_path, "1.10.0", answer_field("source"), answer_field("email"), answer_field("soDienThoai"), marked),
    )
    assert code == 0 and "look again" in out and "email" in out
    assert asked(sandbox, "publish", NAME, "--rollback")[0] == 0
    assert asked(sandbox, "publish", NAME, "--rollback")[0] == 0

"""`lgsp client`: a developer's first hours at the command line, against a running gateway; exit codes; what it
loads."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.base.times import rfc3339
from contracts.wire.jsontext import write_json
from examples.story import World
from gateway.cli.client import feed_check, log_succession
from gateway.sandbox.standins import messages
from tests import commandline

pytestmark = pytest.mark.server
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")
Run = Callable[..., tuple[int, Any]]


def lgsp(*words: str, given: bytes = b"") -> tuple[int, Any]:
    ended = commandline.lgsp("client", *words, "--json", given=given)
    return ended.code, json.loads(ended.out)


def identity(world: World, system: str, state: Path) -> list[str]:
    return ["--identity", str(world.identities / system), "--state", str(state)]


def test_call_prove_and_checkpoints(world: World, tmp_path: Path) -> None:
    who = identity(world, "y-te", tmp_path / "state")
    code, told = lgsp("call", "GET", QUESTION, *who)
    assert (
        code == 0
        and told["ok"]
        and told["answer"]["indicator"] == "KT-05"
        and set(told["receipt"]) == {"intent", "outcome"}
    )
    prove = ("prove", told["transfer"], *who, "--out", str(tmp_path / "proofs"))
    code, proof = lgsp(*prove)
    deadline = time.monotonic() + 30
    while code == 0 and len(proof["entries"]) == 1:  # of an id alone: the outcome may reach the log a moment later
        assert time.monotonic() < deadline, proof
        code, proof = lgsp(*prove)
    assert code == 0 and {each["leaf"] for each in proof["entries"]} == set(told["receipt"].values())
    assert all(Path(file).read_text("utf-8").startswith("c2sp.org/tlog-proof@v1\n") for file in proof["files"])
    code, kept = lgsp("checkpoints", *who)
    assert (
        code == 0 and kept["kept"]["size"] >= proof["checkpoint"]["size"] and kept["before"] and not kept["objections"]
    )
    code, shown = lgsp("checkpoints", *who, "--offline")
    assert code == 0 and shown["kept"] == kept["kept"]
    # the file that is kept is what the operators' own command takes
    (file,) = (tmp_path / "state").glob("*.checkpoint")
    assert world.lgsp("audit", "verify", "--data", str(world.data), "--checkpoint", str(file))["ok"]


def test_a_feed_as_a_file_and_its_check(world: World, tmp_path: Path) -> None:
    who, file = identity(world, "dieu-hanh", tmp_path / "state"), tmp_path / "alerts.csv"
    code, told = lgsp("feed-export", "incident-alert/v1", str(file), *who)
    assert code == 0 and told["bytes"] == file.stat().st_size and file.read_bytes()[3:].startswith(b"sequence,id,")
    whole = file.read_bytes()
    code, taken = lgsp("feed-export", "incident-alert/v1", str(file), *who)
    assert (code, taken["error"]["code"], file.read_bytes()) == (2, "there-already", whole)
    workbook = tmp_path / "alerts.XLSX"
    code, told = lgsp("feed-export", "incident-alert/v1", str(workbook), *who)
    assert code == 0 and workbook.read_bytes().startswith(b"PK"), told
    file = tmp_path / "other.csv"
    code, refused = lgsp("feed-export", "incident-alert/v1", str(file), *identity(world, "y-te", tmp_path / "other"))
    assert code != 0 and refused["error"]["code"].startswith("access.")
    code, checked = lgsp("feed-check", "incident-alert/v1", *who)
    assert code == 0 and checked["ok"] and checked["wrong"] == []
    later = rfc3339(time.time() + 7200)  # of what no hour is sealed: this must not look like a proof
    code, nothing = lgsp("feed-check", "incident-alert/v1", "--since", later, *who)
    assert code == 0 and nothing["hours"] == nothing["events"] == 0 and nothing["seals_after"] is None
    alert = messages.fire_alarm()
    assert world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", alert, alert["maCanhBao"]).ok
    at = time.time()
    ends = [rfc3339((at // 60 + each) * 60) for each in (1, 2)]  # of a sandbox: once this minute, or the next, is over
    code, early = lgsp("feed-check", "incident-alert/v1", "--since", rfc3339(at - 1), *who)
    assert code == 0 and (early["hours"] or early["seals_after"] in (None, *ends)), early  # None: not in the feed yet
    words = commandline.lgsp("client", "feed-check", "incident-alert/v1", "--since", later, *who).out
    assert "Nothing was compared" in words and "as the log has them" not in words


@pytest.mark.parametrize("words", [("alerts.xslx",), ("alerts",), ("alerts.xlsx", "--form", "csv")])
def test_an_ending_of_no_known_form_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, told = lgsp("feed-export", "incident-alert/v1", str(tmp_path / words[0]), *words[1:], "--identity", "x")
    assert (code, told["error"]["code"]) == (2, "unknown-form") and not list(tmp_path.iterdir()), told


def test_when_the_first_period_is_sealed() -> None:
    told = feed_check._seals_after({"sequencedtime": "2026-11-24T07:15:00.123Z"}, 3600)
    assert told == "2026-11-24T08:00:00.000Z" and told in feed_check._nothing(told)


def test_an_identity_by_its_name_or_its_folder(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LGSP_DATA", str(world.data))
    state = ("--state", str(tmp_path / "state"))
    for name in ("y-te", str(world.identities / "y-te")):
        code, told = lgsp("call", "GET", QUESTION, "--identity", name, *state)
        assert code == 0 and told["answer"]["indicator"] == "KT-05"
    for name in ("dieu-hanh", str(world.identities / "dieu-hanh")):
        done = commandline.lgsp("audit", "verify", "--identity", name, "--json")
        assert done.code == 0 and json.loads(done.out)["trusted_key"] == "given"
    for words in (
        ("client", "call", "GET", QUESTION),
        ("audit", "verify"),
        ("audit", "verify", "--data", str(world.data)),
    ):
        done = commandline.lgsp(*words, "--identity", "y-the", "--json")
        error = json.loads(done.out)["error"]
        assert (
            done.code == 2 and error["code"] == "no-identity" and "y-the" in error["what"] and "y-te" in error["next"]
        ), error
    monkeypatch.setenv("LGSP_DATA", str(tmp_path / "none"))
    assert lgsp("token", "--identity", "y-te")[1]["error"]["code"] == "no-identity"


def test_a_post_without_a_body_is_told(world: World, tmp_path: Path) -> None:
    code, told = lgsp("call", "post", "/field-report/v1/requests", *identity(world, "phan-anh", tmp_path))
    assert code == 2 and told["error"]["code"] == "no-body" and "--body" in told["error"]["next"]


def test_soap_a_body_from_standard_input_the_feed_and_a_token(world: World, tmp_path: Path) -> None:
    alert = messages.cap_alert(identifier=f"NCHMF-{uuid.uuid4()}")
    code, told = lgsp(
        "soap", "incident-alert/v1", "-", *identity(world, "canh-bao", tmp_path), "--soap", "1.2", given=alert
    )
    assert code == 0 and "submitAlertResponse" in told["answer"]
    report = write_json(messages.field_report(area="01273"))
    who = identity(world, "phan-anh", tmp_path)
    sent = [
        lgsp("call", "post", "/field-report/v1/requests", *who, "--body", "-", "--id", "PA-17", given=report)
        for _ in range(2)
    ]
    assert sent[0][0] == 0 and sent[0][1]["answer"] == sent[1][1]["answer"] and sent[0][1]["message_id"] == "PA-17"
    code, page = lgsp("feed", "incident-alert/v1", "--limit", "2", *identity(world, "dieu-hanh", tmp_path))
    assert code == 0 and len(page["events"]) <= 2 and page["next"]
    code, found = lgsp("token", "--identity", str(world.identities / "y-te"))
    assert code == 0 and found["token"].count(".") == 2


@pytest.mark.full
def test_handlings_and_cases_of_the_agency(world: World, tmp_path: Path) -> None:
    """By every command; a system of another agency gets neither."""
    sender, receiver, other = (identity(world, name, tmp_path / name) for name in ("canh-bao", "do-thi", "thuc-phan"))
    report = write_json(messages.field_report(area="01273"))
    words = ("/field-report/v1/requests", *identity(world, "phan-anh", tmp_path), "--body", "-")
    transfer = lgsp("call", "POST", *words, given=report)[1]["transfer"]
    asked = ("handling", "list", "--view", "all", "--contract", "field-report/v1", "--transfer", transfer)
    (row,) = world.wait("its handling", lambda: lgsp(*asked, *receiver)[1]["handlings"])
    code, shown = lgsp("handling", "show", row["handling"], *receiver)
    assert (code, shown["sender"], shown["steps"][0]["step"]) == (0, row["sender"], "@open") and shown["deadlines"]
    assert lgsp(*asked, *other)[1]["handlings"] == []
    code, told = lgsp("handling", "show", row["handling"], *other)
    assert (code, told["error"]["code"]) == (1, "handling.unknown") and " / " in told["error"]["what"]

    new = ("case", "open", "complaint", "--to", "H14.3", "--subject", "Sai số liệu", "--text", "Đề nghị sửa.")
    opened = [lgsp(*new, "--days", "3", "--key", "complaint-2026-17", *sender) for _ in range(2)]
    assert opened[0] == opened[1] and opened[0][0] == 0  # the same key is the same act
    case = opened[0][1]["case"]
    found = lgsp("case", "list", "--kind", "complaint", "--limit", "10000", *receiver)[1]["cases"]
    assert case in [each["id"] for each in found]
    assert lgsp("case", "show", case, *receiver)[1]["acts"] == ["acknowledge", "answer"]
    for act, who, state in (
        (("remind",), sender, "open"),
        (("acknowledge",), receiver, "acknowledged"),
        (("answer", "--text", "Đã sửa."), receiver, "answered"),
        (("close", "--text", "Cảm ơn."), sender, "closed"),
    ):
        code, told = lgsp("case", act[0], case, *act[1:], *who)
        assert (code, told["state"]) == (0, state), (act, told)
    plain = commandline.lgsp("client", "case", "show", case, *sender)
    assert "Đã sửa." in plain.out and "possible / có thể: –" in plain.out
    code, told = lgsp("case", "withdraw", case, *sender)
    assert (code, told["error"]["code"]) == (1, "case.not-now")
    for words in (("show", case), ("acknowledge", case)):
        code, told = lgsp("case", *words, *other)
        assert (code, told["error"]["code"]) == (1, "case.unknown"), words


def test_exit_codes_and_words_say_who_can_mend_it(world: World, tmp_path: Path) -> None:
    code, told = lgsp(
        "call", "GET", "/indicator/v1/values?indicator=KT-05&area=04&period=x", *identity(world, "y-te", tmp_path)
    )
    error = told["error"]
    assert (code, told["ok"], error["code"], error["branch"], error["proven"]) == (
        1,
        False,
        "message.invalid",
        "theirs",
        True,
    )
    assert error["findings"][0]["here"] == "period" and "chỗ sai" in error["what"] and "wrong" in error["what"]
    code, told = lgsp("call", "GET", QUESTION, *identity(world, "thuc-phan", tmp_path))
    assert (code, told["error"]["code"], told["error"]["branch"]) == (1, "access.no-grant", "policy")
    code, told = lgsp("call", "GET", QUESTION, "--identity", str(tmp_path / "nobody"))
    assert (code, told["error"]["code"]) == (2, "client.identity")
    code, told = lgsp("call", "GET", "no-slash", *identity(world, "y-te", tmp_path))
    assert (code, told["error"]["code"]) == (2, "client.usage")
    world.fault("kinh-te", "wrong-status")
    code, told = lgsp("call", "GET", QUESTION, *identity(world, "y-te", tmp_path))
    assert (code, told["error"]["code"], told["error"]["branch"]) == (3, "provider.fault", "ours")


def test_from_nothing_to_the_first_call_with_keys_of_its_own(world: World, tmp_path: Path) -> None:
    """keygen, enrolment by the operator, install, call: the private keys never leave the folder, here under a
    passphrase."""
    folder, given = tmp_path / "y-te", tmp_path / "given"
    given.mkdir()
    secret = tmp_path / "passphrase"
    secret.write_text("một cụm từ khó đoán\n", "utf-8")
    locked = ["--passphrase-file", str(secret)]
    code, made = lgsp("keygen", "y-te", "--out", str(folder), *locked)
    assert code == 0 and {Path(each).name for each in made["requests"]} == {"tls.csr", "sign.csr", "encrypt.csr"}
    for key in folder.glob("*.key"):
        assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED") and (
            os.name != "posix" or stat.S_IMODE(key.stat().st_mode) == 0o600
        )
    assert lgsp("keygen", "y-te", "--out", str(folder), *locked)[0] == 2  # never written over

    enrolled = {}
    for use in ("tls", "sign", "encrypt"):
        command = [
            "registry",
            "enrol",
            "y-te",
            "--use",
            use,
            "--request",
            str(folder / f"{use}.csr"),
            "--out",
            str(given / f"{use}.crt"),
        ]
        enrolled[use] = world.lgsp(*command, "--data", str(world.data))["key"]
    told = world.lgsp("registry", "handout", "--out", str(given), "--data", str(world.data))
    assert told["ok"] and told["gateway"] == world.rest("y-te").base
    ids = ["--sign-key-id", enrolled["sign"], "--encrypt-key-id", enrolled["encrypt"]]
    rest = [word for use in ("sign", "encrypt") for word in ("--certificate", str(given / f"{use}.crt"))]

    code, told = lgsp("install", str(folder), "--certificate", str(given / "tls.crt"), *locked)
    assert code == 1 and {"sign.crt", "ca.crt", "system.json: gateway"} <= set(told["missing"])
    stranger = world.identities / "phan-anh" / "sign.crt"
    assert lgsp("install", str(folder), "--certificate", str(stranger), *locked)[0] == 2  # of no key in this folder
    code, told = lgsp("install", str(folder), *rest, "--trust", str(given), *ids, *locked)
    assert code == 0 and not told["missing"] and set(told["put"]) == {"sign", "encrypt"}
    who = ["--identity", str(folder), *locked]
    answer = world.wait(
        "the new keys at every door", lambda: (found := lgsp("call", "GET", QUESTION, *who))[0] == 0 and found[1]
    )
    assert answer["answer"]["indicator"] == "KT-05"
    assert (
        lgsp("call", "GET", QUESTION, "--identity", str(folder))[1]["error"]["code"] == "client.identity"
    )  # without the passphrase


def test_nothing_of_the_server_is_loaded() -> None:
    code = (
        "import sys; import gateway.client, gateway.cli.client.calls;"
        "print([name for name in ('sqlalchemy', 'connexion', 'uvicorn', 'starlette', 'alembic', "
        "'psycopg', 'zeep', 'adapters') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_why_a_log_ended_is_told_in_both_languages() -> None:
    log = {"origin": "tinh/2", "before": "tinh/1", "reason": "missing", "held": 25_493, "signed": 25_542}
    told = log_succession._followed(log)
    assert "tinh/2 follows tinh/1: 25493 of 25542 signed entries are there" in told
    assert "còn 25493 trên 25542 mục đã ký" in told and "thiếu mục đã ký" in told
    assert "(another)" in log_succession._followed(log | {"reason": "another"}), "what a newer gateway may say"

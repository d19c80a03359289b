"""The commands of the audit log against a running gateway: over HTTP, on an export, followed; and told apart from a log
that was forked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples.story import World
from gateway.audit.log.logkey import LogKey
from gateway.audit.verify.ranges import NO_ENTRIES
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests import commandline

pytestmark = pytest.mark.server
CENTRE = "dieu-hanh"


def lgsp(*words: str) -> tuple[int, list[Any]]:
    """In this process, for a start of its own costs a second each."""
    done = commandline.lgsp("audit", *words, "--json")
    return done.code, [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture(scope="module")
def place(world: World) -> dict[str, str]:
    """Where the log is, and what is known of it from elsewhere."""
    about = json.loads((world.identities / CENTRE / "system.json").read_text("utf-8"))
    folder = world.identities / CENTRE
    return {
        "url": about["gateway"],
        "vkey": str(folder / "log.vkey"),
        "ca": str(folder / "ca.crt"),
        "identity": str(folder),
    }


@pytest.mark.sampled("sqlite")
def test_over_http(world: World, place: dict[str, str], tmp_path: Path) -> None:
    question = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")
    # A provider has two seconds to answer, and what failed before may have stopped calls to it for a moment.
    world.wait("an answer", lambda: world.rest("y-te").call("GET", question).ok)
    checkpoint = world.data / "log" / "checkpoint"
    world.wait("three entries", lambda: int(checkpoint.read_text("utf-8").splitlines()[1]) >= 3)
    kept = tmp_path / "kept"
    kept.write_text(checkpoint.read_text("utf-8"), "utf-8")
    everybody = ["--url", place["url"], "--vkey", place["vkey"], "--trust", place["ca"]]
    code, (told,) = lgsp("verify", *everybody, "--checkpoint", str(kept))
    assert code == 0 and told["ok"] and told["checked"]["entries"] == 0 and told["trusted_key"] == "given", json.dumps(
        told
    )
    assert told["notes"] == [NO_ENTRIES]
    code, (told,) = lgsp("verify", "--identity", place["identity"], "--checkpoint", str(kept))
    assert code == 0 and told["ok"] and told["checked"]["entries"] == told["size"] > 0
    code, (told,) = lgsp("verify", "--identity", place["identity"], "--from-index", "1", "--to-index", "2")
    assert code == 0 and told["checked"]["entries"] == 2
    code, (told,) = lgsp("verify", "--identity", str(world.identities / "canh-bao"))
    assert code == 1 and told["error"]["code"] == "audit.not-yours"


def test_an_export_is_checked_elsewhere_and_stands_in_the_log(
    world: World, place: dict[str, str], tmp_path: Path
) -> None:
    answer = world.rest("y-te").call("GET", messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3"))
    assert answer.receipt is not None
    transfer = answer.receipt.transfer
    data = ["--data", str(world.data)]

    def logged() -> bool:
        code, told = lgsp("show", transfer, *data)
        return (
            code == 0 and len(told[0]["entries"]) == 2 and all(each["index"] is not None for each in told[0]["entries"])
        )

    world.wait("both entries in the log", logged)
    code, (told,) = lgsp("export", str(tmp_path / "all"), *data, "--from", "0", "--transfer", transfer)
    assert code == 0 and told["entries"] == told["size"] and told["proofs"] == 2
    code, (told,) = lgsp("verify", "--from", str(tmp_path / "all"), "--vkey", place["vkey"])
    assert code == 0 and told["checked"]["entries"] == told["size"] and told["checked"]["proofs"] == 4
    code, (told,) = lgsp("verify", "--from", str(tmp_path / "all"))
    assert code == 0 and told["trusted_key"] == "from the export itself"
    code, (told,) = lgsp("export", str(tmp_path / "all"), *data)
    assert code == 2 and told["error"]["code"] == "not-empty"
    code, (told,) = lgsp("verify", "--data", str(world.data), "--vkey", place["vkey"])
    assert code == 0 and told["ok"], told


def test_followed_over_http_and_a_fork_is_objected_to(
    world: World, place: dict[str, str], instance: Settings, tmp_path: Path
) -> None:
    people = ["--url", f"http://localhost:{instance.desk_port}", "--vkey", place["vkey"]]
    once = ["watch", *people, "--once", "--state", str(tmp_path / "state")]
    code, told = lgsp(*once)
    assert (
        code == 0
        and told[-1]["ok"]
        and told[-1]["size"] > 0
        and told[0]["event"] == "checkpoint"
        and told[0]["before"] is None
    )
    world.rest("y-te").call("GET", messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3"))
    before = told[-1]["size"]

    def grown() -> Any:
        code, told = lgsp(*once)
        assert code == 0 and told[-1]["from"] == told[-1]["size"] - told[-1]["new"]
        return told if told[-1]["size"] > before else None

    assert world.wait("a checkpoint of more entries", grown)[0]["before"] == before
    # Somebody who holds the log's key showed us another history.
    key = LogKey.open(instance.data / "keys" / "log.key", instance.origin)
    (kept,) = (tmp_path / "state").glob("*.checkpoint")
    kept.write_text(key.sign(3, b"\x07" * 32), "utf-8")
    for _ in range(2):
        code, told = lgsp(*once)
        assert (
            code == 1
            and told[-1]["ok"] is False
            and told[-1]["error"]["code"] == "client.log-forked"
            and told[-1]["error"]["next"]
        )
    code, told = lgsp(
        "watch", "--data", str(world.data), "--vkey", place["vkey"], "--once", "--state", str(tmp_path / "state")
    )
    assert code == 1 and told[-1]["error"]["code"] == "client.log-forked"


def test_what_is_asked_wrongly(world: World, place: dict[str, str], tmp_path: Path) -> None:
    for words, code in (
        (["verify", "--url", place["url"]], "no-key"),
        (["verify", "--url", "gateway", "--vkey", place["vkey"]], "bad-url"),
        (["verify", "--url", "https://localhost:1", "--identity", place["identity"]], "bad-url"),
        (["verify", "--from", str(tmp_path), "--vkey", place["vkey"]], "no-log"),
        (["verify", "--from", str(tmp_path), "--data", str(world.data)], "usage"),
        (["watch", "--url", place["url"], "--vkey", place["vkey"], "--once"], "no-state"),
        (["export", str(tmp_path / "x"), "--data", str(world.data), "--from", "99999999"], "bad-range"),
    ):
        ended, told = lgsp(*words)
        assert (ended, told[-1]["ok"], told[-1]["error"]["code"]) == (2, False, code), words
    ended, told = lgsp("verify", "--url", "http://localhost:9", "--vkey", place["vkey"])
    assert ended == 3 and told[-1]["error"]["code"] == "client.no-connection"

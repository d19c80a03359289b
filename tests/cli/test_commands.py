"""The command line's answers to what people get wrong: a documented exit code, and one JSON object where `--json` asks
for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from contracts.base.ids import new_id
from gateway import __version__
from gateway.cli.run import alone
from gateway.cli.tree import app
from gateway.journal.database import open_engine, writing
from gateway.keys.keyring import Keyring
from gateway.processes.supervised import NotStarted
from gateway.sandbox.instance import make_instance, readdress
from gateway.settings import Settings, load
from security.transparency.entry import Note, freeze
from tests import commandline
from tests.audit import making


def lgsp(*words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp(*words, "--json")
    return ended.code, json.loads(ended.out)


SOME = "01a21016-0000-7000-8000-000000000000"  # sound, and of no transfer
MISTAKES: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {  # the rows of docs/commands.md
    "a name that nobody knows": (
        2,
        (
            ("audit search --agency H99", "unknown-agency"),
            ("audit search --system ai-do", "unknown-system"),
            ("audit search --kind intnet", "unknown-kind"),
            ("audit search --failure provider.dwon", "unknown-failure"),
            ("vault hold add vu-1 --reason long-enough --agency H99", "unknown-agency"),
            ("vault hold release vu-1 --reason long-enough", "vault.hold-unknown"),
            ("audit reconcile {statement} --agency H99 --day 2026-01-02", "unknown-agency"),
            ("audit export {new} --origin ai.example/log", "audit.no-origin"),
            ("access explain H99 indicator/v1 getValue", "unknown-agency"),
            ("access explain H14.7 indicator/v9 getValue", "unknown-contract"),
            ("access explain H14.7 indicator/v1 sing", "unknown-operation"),
            ("access show G-7777", "registry.unknown"),
            ("access revoke G-7777", "registry.unknown"),
            ("access approve G-0001 --officer ai-do --signature x..y", "registry.unknown"),
            ("access approve officer/ai-do --officer can-bo-an-toan-1 --signature x..y", "registry.unknown"),
            ("access suspend G-7777 --reason-vi a --reason-en b", "registry.unknown"),
            ("registry resume system ai-do", "registry.unknown"),
            ("registry keys ai-do", "unknown-system"),
            ("registry revoke ai-do.sign-1 --reason superseded", "registry.unknown"),
            ("contract show nothing/v1", "unknown-contract"),
            ("feed read nothing/v1", "feed.unknown"),
            ("feed read official-document/v1", "feed.unknown"),
            ("ca crl nobody", "unknown-issuer"),
            ("keys rotate nothing", "unknown-key"),
            ("machine drain nobody --reason long-enough", "machine.unknown"),
            ("machine invite không --out {new}", "machine.name"),
            ("console user add lan --role nobody --agency H14.0 --name Lan", "account.role-unknown"),
            ("console user disable nobody", "account.unknown"),
            ("client call PSOT /x --identity {identity}", "no-method"),
        ),
    ),
    "no id, no time, no range": (
        2,
        (
            ("audit show nonsense", "no-transfer-id"),
            ("audit search --transfer nonsense", "no-transfer-id"),
            ("audit package nonsense {new} --reason long-enough", "no-transfer-id"),
            ("audit body nonsense --reason long-enough", "no-transfer-id"),
            ("vault hold add vu-1 --reason long-enough --transfer nonsense", "no-transfer-id"),
            ("audit export {new} --transfer nonsense", "no-transfer-id"),
            ("client prove nonsense --identity {identity}", "no-transfer-id"),
            ("client keygen sở-y-tế --out {new}", "client.usage"),
            ("audit search --from soon", "no-time"),
            ("vault hold add vu-1 --reason long-enough --from soon", "no-time"),
            ("access matrix --at soon", "no-time"),
            ("registry suspend agency H14.7 --reason-vi a --reason-en b --until soon", "no-time"),
            ("audit reconcile {statement} --agency H14.7 --day soon", "no-day"),
            ("audit search --from 2026-11-02 --to 2026-11-01", "bad-range"),
            ("vault hold add vu-1 --reason long-enough --from 2026-11-02 --to 2026-11-01", "vault.hold-wrong"),
            ("audit verify --from-index 3 --to-index 2", "bad-range"),
            (f"audit body {SOME} --reason long-enough --range 9-3", "bad-range"),
            ("feed read incident-alert/v1 --limit 0", "usage"),
            ("audit search --cursor nonsense", "audit.bad-cursor"),
        ),
    ),
    "no reason": (
        2,
        (
            (f"audit body {SOME} --reason short", "vault.no-reason"),
            (f"audit package {SOME} {{new}} --reason short", "vault.no-reason"),
            ("vault hold add vu-1 --agency H14.7 --reason short", "vault.no-reason"),
            ("vault hold release vu-1 --reason short", "vault.no-reason"),
        ),
    ),
    "a file that is not there or not what it ought to be": (
        2,
        (
            ("access approve G-0001 --officer can-bo-an-toan-1", "no-key"),
            ("registry apply {missing}", "no-file"),
            ("registry apply /tmp", "no-file"),
            ("registry apply {nonsense}", "registry.invalid"),
            ("access propose {missing}", "no-file"),
            ("access propose {nonsense}", "registry.invalid"),
            ("access approve G-0001 --officer can-bo-an-toan-1 --key {nonsense}", "key.unacceptable"),
            ("registry enrol y-te --use sign --request {missing}", "no-file"),
            ("registry enrol y-te --use sign --request {nonsense}", "key.unacceptable"),
            ("audit verify --vkey nonsense", "bad-key"),
            ("audit verify --vkey {nonsense}", "bad-key"),
            ("audit verify --witness {nonsense}", "bad-key"),
            ("audit verify --checkpoint {missing}", "no-file"),
            ("audit verify --checkpoint {nonsense}", "bad-checkpoint"),
            ("audit verify --stamp-anchors {missing}", "bad-certificates"),
            ("audit verify --from {missing}", "no-log"),
            ("audit verify --identity {missing}", "client.identity"),
            ("audit reconcile {missing} --agency H14.7", "no-file"),
            ("audit reconcile {nonsense} --agency H14.7 --day 2026-01-02", "reconciliation.invalid"),
            ("backup check {missing}", "backup.none"),
            ("backup check {folder}", "backup.none"),
            ("backup check {folder} --vkey {nonsense}", "bad-key"),
            ("client call GET /x --identity {missing}", "client.identity"),
            ("client call POST /x --body {missing} --identity {identity}", "no-file"),
            ("client soap incident-alert/v1 {missing} --identity {identity}", "no-file"),
            ("client soap incident-alert/v1 {nonsense} --identity {identity}", "client.usage"),
            ("client install {identity} --certificate {missing}", "client.identity"),
            ("machine join {nonsense}", "machine.invitation"),
        ),
    ),
    "what is taken already": (
        2,
        (
            ("backup {folder} --without-keys", "backup.taken"),
            ("audit export {folder}", "not-empty"),
            ("client keygen y-te --out {identity}", "client.taken"),
            (f"audit package {SOME} {{nonsense}} --reason long-enough", "there-already"),
            (f"audit body {SOME} --reason long-enough --out {{nonsense}}", "there-already"),
            ("contract new dossier-status --out {v1}", "not-empty"),
            ("backup /proc/missing --without-keys", "backup.unwritable"),
        ),
    ),
    "sound, but nothing is there": (
        1,
        (
            (f"audit show {SOME}", "no-such-transfer"),
            (f"audit journey {SOME}", "no-such-transfer"),
            (f"audit package {SOME} {{new}} --reason long-enough", "audit.not-logged"),
            (f"audit body {SOME} --reason long-enough", "vault.no-part"),
            (f"vault hold add vu-1 --reason long-enough --transfer {SOME}", "vault.nothing-of"),
            ("audit stamps --export {new}", "no-such-stamp"),
        ),
    ),
    "no checkpoint yet": (3, (("audit export {new}", "no-checkpoint"),)),
}


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [pytest.param(words, ends, code, id=words) for ends, rows in MISTAKES.values() for words, code in rows],
)
def test_like_mistakes_end_alike(sandbox: Settings, tmp_path: Path, words: str, exit_code: int, code: str) -> None:
    (tmp_path / "nonsense").write_text("nonsense\n", "utf-8")
    (tmp_path / "statement.csv").write_text("system,contract,operation,direction,accepted\n", "utf-8")
    (tmp_path / "v1" / "there").mkdir(parents=True)
    names = {
        "missing": "missing",
        "nonsense": "nonsense",
        "new": "new",
        "folder": "",
        "v1": "v1",
        "statement": "statement.csv",
    }
    places = {name: str(tmp_path / path) for name, path in names.items()} | {
        "identity": str(sandbox.data / "identities" / "y-te")
    }
    filled = words.format_map(places).split()
    elsewhere = (
        any(words.startswith(each) for each in ("client ", "backup check", "contract new"))
        or "--identity" in words
        or "--from {" in words
    )
    ended, told = lgsp(*filled, *([] if elsewhere else ["--data", str(sandbox.data)]))
    assert (ended, told["error"]["code"]) == (exit_code, code), told
    assert " / " in told["error"]["what"] and " / " in told["error"]["next"], told
    assert not (tmp_path / "new").exists(), "a refused command leaves nothing behind"


def test_without_an_instance_every_command_says_so(tmp_path: Path) -> None:
    commands: Any = typer.main.get_command(app)
    asked = 0
    for path, command in _all(commands, ()):
        if (
            "--data" not in {name for each in command.params for name in each.opts}
            or path in (("up",), ("setup",), ("restore", "from"), ("contract", "diff"), ("machine", "join"))
            or path[0] == "witness"
        ):
            continue
        needed: list[str] = []
        for each in command.params:
            if each.required:
                value = {"what": "agency", "issuer": "tls", "use": "sign"}.get(each.name, "G-1")
                named = [each.opts[0]] if each.opts[0].startswith("--") else []
                needed += named if getattr(each, "is_flag", False) else [*named, value]
        ended, told = lgsp(*path, *needed, "--data", str(tmp_path / "none"))
        assert (ended, told["error"]["code"]) == (2, "no-instance"), (path, told)
        asked += 1
    assert asked > 40


def _all(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, below in inner.items():
        if not below.hidden:
            yield from _all(below, (*path, name))


def test_an_identity_is_named_by_its_folder_or_by_its_name(sandbox: Settings) -> None:
    name = min(each.parent.name for each in sandbox.identities.glob("*/system.json"))
    for said in (["--identity", name, "--data", str(sandbox.data)], ["--identity", str(sandbox.identities / name)]):
        for command in (["verify"], ["watch", "--once"]):
            ended, told = lgsp("audit", *command, *said)
            assert (ended, told["error"]["code"]) == (3, "client.no-connection"), (
                told
            )  # it was found, and its gateway does not run


def test_an_untrusted_gateway_is_met_with_the_option_that_names_authorities(sandbox: Settings, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sandbox.keys / "server.crt", sandbox.keys / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with suppress(OSError):
                tls.wrap_socket(listener.accept()[0], server_side=True)

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        ended, told = lgsp("audit", "verify", "--url", url, "--vkey", str(Keyring(sandbox).log_vkey))
        thread.join(60)
    assert (ended, told["error"]["code"]) == (3, "client.no-connection") and "--trust" in told["error"]["next"], told
    (tmp_path / "none.pem").write_text("none")
    for name, code in (("missing", "no-file"), ("none.pem", "bad-certificates")):
        ended, told = lgsp(
            "audit", "verify", "--url", url, "--vkey", str(Keyring(sandbox).log_vkey), "--trust", str(tmp_path / name)
        )
        assert (ended, told["error"]["code"]) == (2, code), told


def test_an_actor_is_found_by_a_part_of_the_name_that_is_no_others(tmp_path: Path) -> None:
    settings = load(tmp_path / "data", environment={})
    make_instance(settings, {}, time.time(), province=False)
    notes = [
        Note(new_id(), time.time(), "export", actor, {})
        for actor in ("lan, command line", "minh as root, command line", "gateway")
    ]
    with writing(open_engine(settings.database_url)) as connection:
        making.write(connection, [(time.time(), freeze(each)) for each in notes])

    def found(actor: str) -> tuple[int, Any]:
        ended, told = lgsp("audit", "search", "--actor", actor, "--data", str(settings.data))
        return ended, [each["actor"] for each in told["entries"]] if told["ok"] else told["error"]["next"]

    assert found("lan, command line") == found("lan") == found("LAN") == (0, ["lan, command line"])
    assert found("root") == (0, ["minh as root, command line"]) and found("gateway") == (0, ["gateway"])
    ended, told = found("command line")
    assert ended == 2 and "lan, command line, minh as root, command line" in told
    assert found("nobody")[0] == 2


def test_a_misspelt_kind_is_told_the_nearest(sandbox: Settings) -> None:
    ended, told = lgsp("audit", "search", "--kind", "takenup", "--data", str(sandbox.data))
    assert (ended, told["error"]["code"]) == (2, "unknown-kind") and "taken-up" in told["error"]["next"], told
    assert lgsp("audit", "search", "--kind", "registry-accepted", "--data", str(sandbox.data))[0] == 0


def test_the_version_is_that_of_the_package() -> None:
    code, out, _ = commandline.lgsp("--version")
    assert (code, out) == (0, f"lgsp {__version__}\n") and re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_showing_entries_loads_neither_what_draws_nor_what_signs(sandbox: Settings) -> None:
    """Half of a short command's time is loading: what it has no use for stays where it is."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); from "
        "gateway.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "audit", "show", SOME, "--data", str(sandbox.data)]
    loaded = subprocess.run(command, capture_output=True, text=True, timeout=300).stderr.splitlines()[-1].split()
    assert "sqlalchemy" in loaded
    assert not {
        "rich.progress",
        "cryptography",
        "aiohttp",
        "lxml",
        "gateway.keys.keyring",
        "gateway.processes.supervisor",
    } & set(loaded)


def test_one_up_a_data_folder(sandbox: Settings) -> None:
    sandbox.run.mkdir(exist_ok=True)
    folder = os.open(sandbox.run, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(NotStarted, match="running already"), alone(sandbox):
            raise AssertionError("a second one came in")
        done = commandline.lgsp("up", "--data", str(sandbox.data))
        assert done.code == 3 and [line.count(" / ") for line in done.err.splitlines()] == [1, 1], done.err
        assert (
            "is running already / không khởi động được: phiên bản tại" in done.err and "--data. / Hãy dừng" in done.err
        )
    finally:
        os.close(folder)
    with alone(sandbox):
        pass


def test_identities_follow_the_port(sandbox: Settings) -> None:
    moved = load(sandbox.data, environment={"LGSP_EXCHANGE_PORT": "9553"})
    readdress(moved)
    files = sorted(Path(sandbox.identities).glob("*/system.json"))
    assert len(files) >= 12 and {json.loads(each.read_text("utf-8"))["gateway"] for each in files} == {
        "https://localhost:9553"
    }
    readdress(sandbox)
    assert json.loads(files[0].read_text("utf-8"))["gateway"] == sandbox.base

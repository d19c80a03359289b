"""Folders and files of strangers for the commands of contracts: each ends in a finding or a failure with a code, soon,
and with little memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.importers.formats.openapi import import_openapi
from contracts.mapping.rows.expressions import Wrong, compiled
from contracts.proof import check as check_module
from contracts.proof.check import check
from gateway.cli.contract import publishing as command
from gateway.cli.contract.importing import _files
from gateway.registry.changes import publish as publishing

SOURCE = next(folder for folder in catalogue_folders() if folder.parent.name == "field-report")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOURCE, tmp_path / "x" / "v1"))


def doubled(head: str, times: int, form: str) -> str:
    lines = [f"a0: &a0 {head}", *(f"a{i}: &a{i} " + form.format(f"*a{i - 1}") for i in range(1, times))]
    return "\n".join([*lines, f"id: *a{times - 1}", f"shared_codes: *a{times - 1}", f"title: *a{times - 1}"])


def sparse(file: Path) -> None:
    file.touch()
    os.truncate(file, 10_000_000_000)


def many(codes: Path) -> None:
    for number in range(2_100):
        (codes / f"c{number}.csv").touch()


def chained(number: int, ways: int) -> str:
    text = {"type": "string"}
    closed: dict[str, Any] = {"type": "object", "additionalProperties": False}
    each = {
        f"A{i}": {**closed, "properties": {f"p{way}": {"$ref": f"#/$defs/A{i + 1}"} for way in range(ways)}}
        for i in range(number)
    }
    return json.dumps({"$defs": {**each, f"A{number}": {**closed, "properties": {"v": text}}}})


def pattern(text: str) -> str:
    closed: dict[str, Any] = {"type": "object", "additionalProperties": False}
    return json.dumps({"$defs": {"A": {**closed, "properties": {"v": {"type": "string", "pattern": text}}}}})


FOLDERS: dict[str, Callable[[Path], object]] = {
    "ten gigabytes": lambda at: sparse(at / "codes" / "big.csv"),
    "a name that is no UTF-8": lambda at: open(os.fsencode(at / "codes") + b"/a\xff.csv", "w").close(),
    "a name of two lines": lambda at: (at / "codes" / "a\nb.csv").touch(),
    "many files": lambda at: many(at / "codes"),
    "aliases of aliases": lambda at: (at / "contract.yaml").write_text(doubled("[x]", 40, "[{0}, {0}, {0}]")),
    "aliases of objects": lambda at: (at / "contract.yaml").write_text(doubled("{x: y}", 40, "{{p: {0}, q: {0}}}")),
    "an alias of itself": lambda at: (at / "contract.yaml").write_text(
        "a: &a [*a]\nid: *a\nshared_codes: *a\ntitle: &b {vi: *b}\n"
    ),
    "deep YAML": lambda at: (at / "contract.yaml").write_text("a: " + "[" * 100_000),
    "YAML as deep as its reader goes": lambda at: (at / "contract.yaml").write_text("a: " + "[" * 900 + "]" * 900),
    "deep JSON": lambda at: (at / "schema.json").write_text('{"$defs":' * 50_000),
    "deep JSON that ends": lambda at: (at / "schema.json").write_text('{"$defs":' * 3_000 + "1" + "}" * 3_000),
    "a number of ten thousand digits": lambda at: (at / "contract.yaml").write_text("id: " + "9" * 10_000),
    "objects within objects": lambda at: (at / "schema.json").write_text(chained(2_000, 1)),
    "objects that double": lambda at: (at / "schema.json").write_text(chained(40, 2)),
    "counts within counts": lambda at: (at / "schema.json").write_text(pattern("^(((a{1,1000}){1,1000}){1,1000})$")),
    "names that are lists": lambda at: (at / "schema.json").write_text(
        '{"$defs":{"A":{"type":"object","additionalProperties":false,"required":[[1]],"properties":{"v":{"type":"string","codes":[1]}}}}}'
    ),
    "groups within groups": lambda at: (at / "schema.json").write_text(
        pattern("^" + "(" * 500 + "a" + ")*" * 500 + "$")
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_hostile_folder_is_named(folder: Path, name: str) -> None:
    (folder / "codes").mkdir(exist_ok=True)
    FOLDERS[name](folder)
    report = check(folder)
    assert not report.ok
    assert all(found.here.isprintable() for found in report.findings)


def test_links_and_pipes_are_left_out(folder: Path) -> None:
    before = Bundle.from_folder(folder).digest
    (folder / "x.csv").symlink_to("/etc/passwd")
    (folder / "root").symlink_to("/")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.csv")
    assert Bundle.from_folder(folder).digest == before


def test_what_is_published_is_what_was_proved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that changes between the proof and the publishing publishes what was proved."""
    proved, sent = Bundle.from_folder(folder).digest, []
    real = check_module.check

    def changing(at: Path, *more: Any) -> Any:
        report = real(at, *more)
        (at / "contract.yaml").write_text("id: khac\n")
        return report

    monkeypatch.setattr(check_module, "check", changing)
    monkeypatch.setattr(command, "_change", lambda settings, act, *_: act(None))
    monkeypatch.setattr(
        publishing,
        "publish",
        lambda connection, bundle, compiled, accepted: sent.append((bundle.digest, compiled.digest)),
    )
    command._publish(Any, folder, publishing.Accepted(), False, True)  # type: ignore[arg-type]
    assert sent == [(proved, proved)]


@pytest.mark.parametrize(
    "link",
    [
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "link.yaml",
        "a\0b.yaml",
        "a" * 5_000,
        "http://[::1",
        "pipe",
        "file:///etc/passwd",
        "#/paths/²",
    ],
)
def test_a_reference_that_leads_nowhere_is_a_note(tmp_path: Path, link: str) -> None:
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    content = {"application/json": {"schema": {"$ref": link}}}
    paths = {"/a": {"post": {"operationId": "a", "requestBody": {"content": content}, "responses": {}}}}
    (tmp_path / "main.json").write_text(json.dumps({"openapi": "3.0.3", "paths": paths}))
    with pytest.raises(Theirs) as caught:
        import_openapi(_files(tmp_path / "main.json", None))
    assert caught.value.code in ("import.nothing", "import.unreadable")


@pytest.mark.parametrize(
    "expression",
    [
        "$match(a, /(a+)+$/)",
        "$replace(a, /(a|a)*$/, 'b')",
        "$sum([1..10000000])",
        "$length($pad(a, n))",
        "[0..n].($ * 2)",
    ],
)
def test_no_step_of_an_expression_takes_long(expression: str) -> None:
    """The time of a whole expression is bounded between its steps only; a message must not make one step long."""
    with pytest.raises(Wrong):
        compiled(expression)({"a": "a" * 30 + "!", "n": 10**9})
    assert compiled("$pad(a, 6, '0') & $count([1..n])")({"a": "x", "n": 5}) == "x000005"

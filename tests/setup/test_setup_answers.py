"""What `lgsp setup` takes, refuses, leaves and repeats. Each refusal leaves the folder as it was."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from sqlalchemy import make_url

from gateway.settings import BadSetting, load
from gateway.setup import founding
from gateway.setup.answers import from_file
from tests import commandline
from tests.journal.databases import fresh_url
from tests.journal.pairs import paired
from tests.setup.provinces import GRANTS, OFFICERS, OPERATOR, answers, changed

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "Trục liên thông, chia sẻ dữ liệu tỉnh Cao Bằng"}, "name: "),
        ({"public_base": "http://tinh.example"}, "public_base"),
        ({"public_base": "https://tinh.example/duong"}, "public_base"),
        ({"public_base": "https://a@tinh.example"}, "public_base"),
        ({"public_base": "https://tinh.example:99999"}, "public_base"),
        ({"public_base": 5}, "public_base"),
        ({"desk_base": "http://tinh.example:8080"}, "desk_base"),
        ({"desk_base": "https://trao-doi.tinh.example"}, "desk_base"),
        ({"secret_file": None}, "secret_file"),
        ({"officers": []}, "officers"),
        ({"officers": "can-bo-1"}, "officers"),
        ({"officers": [{"id": "x"}, {"id": "y"}]}, "officers[0].agency"),
        ({"officers": [{"id": "x", "password": "y"}]}, "officers[0].password"),
        ({"registry": "không-có.yaml"}, "không-có.yaml"),
        ({"cán bộ": []}, "cán bộ"),
        ({"settings": ["x"]}, "setup.yaml"),
    ],
)
def test_a_wrong_answer_is_named_with_its_place(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSetting) as wrong:
        from_file(changed(answers(tmp_path), **values))
    assert named in wrong.value.words.en and named in wrong.value.words.vi


def test_a_private_key_is_refused_and_never_repeated(tmp_path: Path) -> None:
    file = answers(tmp_path)
    text = file.read_text("utf-8").replace("can-bo-1.pub", "can-bo-1.key")
    file.write_text(text, "utf-8")
    told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "data"), "--json")
    error = json.loads(told.out)["error"]
    assert told.code == 2 and "private key" in error["what"] and "khóa bí mật" in error["what"]
    secret = (tmp_path / "can-bo-1.key").read_text("ascii").splitlines()[1]
    assert secret not in told.out + told.err and not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"settings": {"exchange_prot": 1}}, "bad-setting"),
        ({"settings": {"doors": -1}}, "bad-setting"),
        ({"secret_file": "data/secret"}, "bad-setting"),
        ({"people": [{"id": OFFICERS[0], "agency": "H14.0", "name": "x", "key": "van-hanh.pub"}]}, "registry.invalid"),
        ({"people": [{"id": "x", "agency": "H14.0", "name": "x", "key": "can-bo-1.pub"}]}, "registry.invalid"),
        ({"people": [{"id": "x", "agency": "H14.0", "name": "x", "key": "setup.yaml"}]}, "registry.invalid"),
    ],
)
def test_nothing_is_left_of_answers_that_do_not_hold(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    file = changed(answers(tmp_path), **change)
    told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "data"), "--json")
    assert (told.code, json.loads(told.out)["error"]["code"]) == (2, code), told
    assert not (tmp_path / "data").exists() and not (tmp_path / "secret").exists()


def test_setup_makes_a_founded_instance_once_and_keeps_settings_that_lie_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.yaml").write_text("doors: 3\n", "utf-8")
    file = answers(tmp_path, "https://trao-doi.tinh.example:9443")
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    made = json.loads(told.out)
    assert told.code == 0 and made["left"] == [], told
    assert [each["id"] for each in made["people"]] == [*OFFICERS, OPERATOR]
    assert all("/console/link/" in each["link"] for each in made["people"])
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600 and len((tmp_path / "secret").read_bytes()) == 32
    assert made["root_key"] == str(tmp_path / "offline/root.key") and not (data / "ca/root.key").exists()
    settings = yaml.safe_load((data / "settings.yaml").read_text("utf-8"))
    assert settings["doors"] == 3 and settings["exchange_port"] == 9443 and settings["kind"] == "production"
    assert settings["origin"] == "trao-doi.tinh.example/lgsp"

    shown = json.loads(commandline.lgsp("access", "list", "--data", str(data), "--json").out)
    assert [each["id"] for each in shown["grants"]] == list(GRANTS)
    thumbprints = {each["id"]: each["thumbprint"] for each in made["people"]}
    assert {each["id"]: each["key"] for each in (*shown["officers"], *shown["people"])} == thumbprints
    ca = json.loads(commandline.lgsp("ca", "show", "--data", str(data), "--json").out)
    assert ca["root_key_offline"] and ca["certificates"][0]["thumbprint"] == made["root_thumbprint"]
    verified = commandline.lgsp("audit", "verify", "--data", str(data), "--json")
    assert verified.code == 0, verified

    again = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    assert again.code == 0 and not any(each["link"] for each in json.loads(again.out)["people"]), again
    assert json.loads(again.out)["root_key"] == made["root_key"]
    words = commandline.lgsp("setup", str(file), "--data", str(data)).out
    assert f"{made['root_key']} — cất ngoại tuyến" in words and f"{tmp_path / 'secret'} — giữ một bản" in words, words
    assert f"lgsp up --data {data} · " in words and "First sign-in\n" in words and "within 15" not in words, words
    another = answers(tmp_path, "https://trao-doi.tinh.example:9443")  # of the same names, with other keys
    refused = commandline.lgsp("setup", str(another), "--data", str(data), "--json")
    assert refused.code == 2 and "lgsp registry apply" in json.loads(refused.out)["error"]["what"]


def test_a_made_instance_is_not_said_to_be_made_by_other_answers(tmp_path: Path) -> None:
    data, file = tmp_path / "data", answers(tmp_path, doors=3)
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code == 0
    lay = (data / "settings.yaml").read_bytes()
    database = "postgresql+psycopg://lgsp:a@b/c@nowhere/lgsp"
    changed(file, database=database, name="Tên khác", settings={"doors": "3", "body_limit": 7})
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    error = json.loads(told.out)["error"]
    assert (told.code, error["code"]) == (2, "bad-setting"), told
    assert "database: the instance has '', the answers say postgresql+psycopg://lgsp:***@nowhere/lgsp" in error["what"]
    assert "name: the instance has LGSP của tỉnh, the answers say Tên khác" in error["what"]
    assert "body_limit: " in error["what"] and "doors: " not in error["what"] and "a@b" not in told.out, error
    assert "public_base: " not in error["what"] and "lgsp move" in error["what"], error
    assert (data / "settings.yaml").read_bytes() == lay


def test_each_person_and_agency_that_differs_is_named_with_the_settings(tmp_path: Path) -> None:
    data, file = tmp_path / "data", answers(tmp_path, doors=3)
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code == 0
    people = yaml.safe_load(file.read_text("utf-8"))["officers"]
    people[0] |= {"name": "Tên khác"}
    people[1] |= {"agency_name": "Sở khác", "key": f"{OPERATOR}.pub"}
    changed(file, officers=people, people=None, settings={"doors": 4})
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    what = json.loads(told.out)["error"]["what"]
    assert told.code == 2, told
    for part in ("doors: the instance has 3", "can-bo-1, name: ", "agency_name (H14.6): the instance has Công an tỉnh"):
        assert part in what, what
    assert "can-bo-2, key: " in what and "the answers say Tên khác" in what and "can-bo-1, key" not in what, what


def test_what_a_repeated_setup_did_not_look_at_is_said(tmp_path: Path) -> None:
    data, file = tmp_path / "data", answers(tmp_path)
    first = json.loads(commandline.lgsp("setup", str(file), "--data", str(data), "--json").out)
    assert (first["was_made"], first["not_compared"]) == (False, [])
    changed(file, root_key_to="elsewhere")
    told = commandline.lgsp("setup", str(file), "--data", str(data))
    assert told.code == 0 and "was made before in" in told.out and "is made in" not in told.out, told
    assert "answers not looked at: registry, root_key_to\n" in told.out, told.out


def test_a_database_that_is_left_empty_is_not_taken_for_sqlite(tmp_path: Path) -> None:
    """Whoever asks for SQLite where PostgreSQL is used is told that nothing moved."""
    url = make_url(fresh_url("postgresql", tmp_path)).render_as_string(hide_password=False)
    data, file = tmp_path / "data", changed(answers(tmp_path), database=url)
    assert json.loads(commandline.lgsp("setup", str(file), "--data", str(data), "--json").out)["not_compared"] == []
    told = commandline.lgsp("setup", str(changed(file, database="")), "--data", str(data), "--json")
    assert json.loads(told.out)["not_compared"] == ["registry", "database"], told


def test_under_systemd_it_is_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which hands over the secret as a credential; the answers name its file, that only root reads."""
    (tmp_path / "lgsp").write_bytes(os.urandom(32))
    (tmp_path / "lgsp").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LGSP_SECRET_FILE", "credential:lgsp")
    data, file = tmp_path / "data", changed(answers(tmp_path), secret_file="/etc/lgsp-nowhere/secret")
    for _ in range(2):
        told = commandline.lgsp("setup", str(file), "--data", str(data))
        assert told.code == 0 and "/etc/lgsp-nowhere/secret" in told.out, told


def test_an_agency_has_the_name_that_the_first_of_its_persons_gives(tmp_path: Path) -> None:
    file = answers(tmp_path)
    document = yaml.safe_load(file.read_text("utf-8"))
    document["people"][0]["agency"] = document["officers"][1]["agency"]  # without the name
    agencies = founding.document_of(from_file(changed(file, **document))).document.agencies
    assert {each.code: each.name.vi for each in agencies}["H14.6"] == "Công an tỉnh"


def test_what_a_setup_that_was_cut_short_lacks_is_made_by_the_next(tmp_path: Path) -> None:
    data, file = tmp_path / "data", answers(tmp_path)
    given = from_file(file)
    first = founding.document_of(given)
    settings = founding.settings_of(given, first, data, {})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(founding, "_invite", Mock(side_effect=KeyboardInterrupt))
        founding.make(settings, given, first, "root", time.time())
    assert (data / "ca/root.key").exists()
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    made = json.loads(told.out)
    assert told.code == 0 and made["root_key"] == str(tmp_path / "offline/root.key"), told
    links = [each["link"] for each in made["people"]]
    assert all("/console/link/" in each for each in links) and len(links) == 3


def test_the_roots_key_is_safe_on_its_medium_before_it_is_deleted_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, synced = tmp_path / "data", []

    def noted(folder: Path) -> None:
        synced.append((folder, (data / "ca/root.key").exists()))

    monkeypatch.setattr(founding, "sync_folder", noted)
    assert commandline.lgsp("setup", str(answers(tmp_path)), "--data", str(data)).code == 0
    assert synced == [(tmp_path / "offline", True)] and not (data / "ca/root.key").exists()


@pytest.mark.parametrize("taken", ["registry.yaml", "mnt-mistyped/khoa", "offline", "data/khoa"])
def test_a_place_that_cannot_take_the_roots_key_is_told_before_anything_is_made(tmp_path: Path, taken: str) -> None:
    """Nothing that is no mounted medium is made into one: the key would stay on this disk."""
    data, file = tmp_path / "data", changed(answers(tmp_path), root_key_to=taken)
    (tmp_path / "offline" / "root.key").write_text("of another instance", "ascii")
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    error = json.loads(told.out)["error"]
    assert told.code == 2 and error["code"] == "bad-setting", told
    assert f"{file}, line " in error["what"] and "root_key_to" in error["what"] and not data.exists(), error
    assert (tmp_path / "offline" / "root.key").read_text("ascii") == "of another instance"
    assert not (tmp_path / "mnt-mistyped").exists()


def test_a_key_that_a_cut_short_run_copied_is_no_other_instances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, file = tmp_path / "data", answers(tmp_path)

    def cut(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(founding, "sync_folder", cut)
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code != 0
    assert (data / "ca/root.key").read_bytes() == (tmp_path / "offline/root.key").read_bytes()
    monkeypatch.undo()
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code == 0
    assert not (data / "ca/root.key").exists()


@pytest.mark.parametrize("other", [b"of another instance, which came between", None])
def test_the_roots_key_is_never_deleted_for_a_copy_that_is_none(tmp_path: Path, other: bytes | None) -> None:
    """Another setup to the same medium at once; or the medium is the folder of the key by another name."""
    data, file = tmp_path / "data", changed(answers(tmp_path), root_key_to=None)
    assert commandline.lgsp("setup", str(file), "--data", str(data)).code == 0
    key, there = data / "ca/root.key", tmp_path / "offline/root.key"
    content = key.read_bytes()
    if other is None:
        there.symlink_to(key)
    else:
        there.write_bytes(other)
    with pytest.raises(FileExistsError):
        founding._moved(key, tmp_path / "offline")
    told = commandline.lgsp("setup", str(changed(file, root_key_to="offline")), "--data", str(data))
    assert told.code == 2 and key.read_bytes() == content, told
    assert there.read_bytes() == (other or content)


@pytest.mark.parametrize(
    "address", ["db1", "postgres://db1/lgsp", "postgresql://a@[::1/lgsp", "postgresql://db1:x/lgsp"]
)
def test_an_address_that_is_none_of_a_database_is_told_as_such(tmp_path: Path, address: str) -> None:
    file = changed(answers(tmp_path), database=address)
    told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "data"), "--json")
    error = json.loads(told.out)["error"]
    assert told.code == 2 and error["code"] == "bad-setting" and "postgresql://" in error["what"], told


def test_the_registry_document_of_the_page_founds_an_instance(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    (document,) = re.findall(r"^```yaml registry\.yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "of-the-page.yaml").write_text(document, "utf-8")
    file = changed(answers(tmp_path), registry="of-the-page.yaml")
    told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "data"), "--json")
    assert told.code == 0, told
    waiting = json.loads(commandline.lgsp("access", "list", "--data", str(tmp_path / "data"), "--json").out)
    assert {"G-0001", "G-0002"} <= {each["id"] for each in waiting["grants"]}, waiting


@pytest.mark.parametrize(("base", "told_so"), [("https://tinh.example", True), ("https://tinh.example:8443", False)])
def test_setup_says_where_the_port_of_the_public_address_must_lead(tmp_path: Path, base: str, told_so: bool) -> None:
    """Systems call 443 where the address names no port, and the gateway's user cannot open that one."""
    told = commandline.lgsp("setup", str(answers(tmp_path, base)), "--data", str(tmp_path / "data"))
    assert told.code == 0, told
    assert ("0.0.0.0:8443" in told.out and "443 of tinh.example" in told.out) is told_so, told.out


def test_a_database_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    """In both languages, with what the server said; `lgsp up` would not help."""
    url = make_url(fresh_url("postgresql", tmp_path)).set(database="nobody_made_it")
    file = changed(answers(tmp_path), database=url.render_as_string(hide_password=False))
    told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "data"), "--json")
    error = json.loads(told.out)["error"]
    assert told.code == 3 and error["code"] == "database", told
    assert "nobody_made_it" in error["what"] and "không kết nối được" in error["what"], error
    assert "CREATE DATABASE" in error["next"] and "lgsp up" not in error["next"], error


@pytest.mark.server
def test_a_server_that_waits_for_a_standby_that_is_not_there_does_not_hang_setup(tmp_path: Path) -> None:
    """Also where the address names that server alone. Nothing was written: the same answers go on."""
    with paired() as pair:
        alone = make_url(pair.fresh_url()).set(host="127.0.0.1", port=pair.primary.port, query={})
        data, file = (
            tmp_path / "data",
            changed(answers(tmp_path), database=alone.render_as_string(hide_password=False)),
        )
        pair.standby.kill()
        told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
        assert (told.code, json.loads(told.out)["error"]["code"]) == (3, "journal.no-standby"), told
        pair.standby.start()
        pair.wait_synchronous()
        told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
        assert told.code == 0 and load(data, {}).standby == "off", told


@pytest.mark.full
@pytest.mark.server
def test_two_servers_of_the_database_are_a_primary_and_the_standby_that_it_waits_for(tmp_path: Path) -> None:
    with paired() as pair:
        data, file = tmp_path / "data", changed(answers(tmp_path), database=pair.fresh_url())
        pair.standby.kill()
        told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
        error = json.loads(told.out)["error"]
        assert (told.code, error["code"]) == (3, "journal.no-standby"), told
        pair.standby.start()
        pair.wait_synchronous()
        told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
        assert told.code == 0 and load(data, {}).standby == "required", told
        changed(file, settings={"standby": "off"}, database=pair.fresh_url(), root_key_to=None)
        told = commandline.lgsp("setup", str(file), "--data", str(tmp_path / "other"), "--json")
        assert told.code == 0 and load(tmp_path / "other", {}).standby == "off", told


def test_two_officers_without_an_operator_are_told_what_they_cannot_sign(tmp_path: Path) -> None:
    told = commandline.lgsp("setup", str(changed(answers(tmp_path), people=None)), "--data", str(tmp_path / "data"))
    assert told.code == 0 and "Nobody operates: an officer who applies a document cannot sign" in told.out, told


@pytest.mark.parametrize(
    ("name", "value"),
    [("doors", "many"), ("door", 1), ("roles", "cook"), ("push_networks", "everywhere"), ("exchange_port", 0)],
)
def test_a_mistaken_setting_is_told_as_of_its_line_in_the_answers(tmp_path: Path, name: str, value: object) -> None:
    file, data = changed(answers(tmp_path), settings={name: value}), tmp_path / "data"
    line = 1 + next(at for at, text in enumerate(file.read_text("utf-8").splitlines()) if text.startswith(f"  {name}:"))
    told = commandline.lgsp("setup", str(file), "--data", str(data), "--json")
    what = json.loads(told.out)["error"]["what"]
    assert told.code == 2 and what.startswith(f"{file}, line {line}: ") and f" / {file}, dòng {line}: " in what, what
    assert "settings.yaml" not in what and not data.exists()


def test_a_setting_that_lies_there_is_told_as_of_its_own_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.yaml").write_text("# kept\ndoors: 2\nroles: cook\n", "utf-8")
    told = commandline.lgsp("setup", str(answers(tmp_path)), "--data", str(data), "--json")
    assert told.code == 2 and f"{data / 'settings.yaml'}, line 3: roles is" in json.loads(told.out)["error"]["what"]


def test_sign_in_links_name_the_address_that_people_open(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    told = commandline.lgsp("setup", str(answers(tmp_path)), "--data", str(here))
    assert told.code == 0 and "http://localhost:8080/console/link/" in told.out
    assert "ssh -L 8080:localhost:8080 trao-doi.tinh.example" in told.out
    (tmp_path / "offline" / "root.key").unlink()
    file = changed(answers(tmp_path), desk_base="https://trang.tinh.example:9080")
    told = commandline.lgsp("setup", str(file), "--data", str(there))
    assert told.code == 0 and told.out.count("https://trang.tinh.example:9080/console/link/") == 3, told
    assert "ssh -L" not in told.out and "localhost" not in told.out
    settings = load(there, {})
    assert (settings.desk_host, settings.desk_port, settings.desk_tls) == ("0.0.0.0", 9080, "embedded")

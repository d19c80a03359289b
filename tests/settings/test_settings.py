"""Settings: one declaration each, read by type and bounds; what is not known is refused with the nearest name."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from gateway.settings import FILE, NOT_SETTINGS, PREFIX, BadSetting, Settings, load
from gateway.settings.saving import change, save
from gateway.settings.sources import expected

ROOT = Path(__file__).parents[2]
NAMES = [each.name for each in fields(Settings) if each.name != "data"]


def refused(data: Path, environment: dict[str, str]) -> BadSetting:
    with pytest.raises(BadSetting) as caught:
        load(data, environment)
    words = caught.value.words
    assert words.vi != words.en
    return caught.value


def test_the_environment_stands_above_the_file_and_the_file_above_the_defaults(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('doors: "3"\nname: 12\nlive: no\nwitness_policy: off\nagency_processor: 1\n')
    settings = load(
        tmp_path, {"LGSP_DOORS": "2", "LGSP_KIND": "production", "lgsp_name": "of somebody else", "LGSPX": "1"}
    )
    assert (settings.doors, settings.kind) == (2, "production")
    assert (settings.name, settings.live, settings.witness_policy, settings.agency_processor) == (
        "12",
        False,
        "off",
        1.0,
    )
    assert settings.body_limit == Settings(tmp_path).body_limit and settings.data == tmp_path
    assert type(settings.agency_processor) is float


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("LGSP_DOOR", "LGSP_DOORS"),
        ("LGSP_BODYLIMIT", "LGSP_BODY_LIMIT"),
        ("LGSP_Doors_", "LGSP_DOORS"),
        ("LGSP_DATA_", "LGSP_DATA"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest(variable: str, near: str, tmp_path: Path) -> None:
    assert f"there is no setting '{variable}'; the nearest is '{near}'" in str(refused(tmp_path, {variable: "1"}))


def test_an_unknown_key_of_the_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("doors: 1\nbody_limits: 1\n")
    words = refused(tmp_path, {}).words
    assert f"{tmp_path / FILE}, line 2: there is no setting 'body_limits'; the nearest is 'body_limit'" in words.en
    assert f"{tmp_path / FILE}, dòng 2: không có thiết lập 'body_limits'; tên gần nhất là 'body_limit'" in words.vi


def test_variables_that_are_no_settings_are_passed_over(tmp_path: Path) -> None:
    services = {
        "LGSP_SERVICE_HOST": "10.0.0.1",
        "LGSP_SERVICE_PORT_HTTPS": "1",
        "LGSP_PORT": "tcp://10.0.0.1:1",
        "LGSP_PORT_1_TCP_ADDR": "10.0.0.1",
    }
    assert load(tmp_path, dict.fromkeys(NOT_SETTINGS, "x") | services) == Settings(tmp_path)
    assert "LGSP_EDGE_PORT" in str(refused(tmp_path, {"LGSP_PORT": "8443"}))


def test_every_variable_that_the_tree_names_is_known() -> None:
    files = [
        *ROOT.glob("*"),
        *(
            path
            for top in ("gateway", "tests", "bench", "examples", "deploy", "docs", ".ci")
            for path in (ROOT / top).rglob("*")
        ),
    ]
    known = {*NOT_SETTINGS, *(f"{PREFIX}{name.upper()}" for name in NAMES)}
    for path in files:
        if (
            path.is_file()
            and path.suffix in {".py", ".md", ".yml", ".yaml", ".service", "", ".sh"}
            and path != Path(__file__)
        ):
            named = set(re.findall(r"\bLGSP_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?!_)", path.read_text("utf-8", "replace")))
            assert named <= known, path


@pytest.mark.parametrize("name", NAMES)
def test_a_value_is_of_its_type_and_within_its_bounds(name: str, tmp_path: Path) -> None:
    item: Any = next(each for each in fields(Settings) if each.name == name)
    wrong = ["maybe", "", "1.5.0"] if not isinstance(item.default, str) else []
    bounds = dict(item.metadata["bounds"])
    if isinstance(item.default, int | float) and not isinstance(item.default, bool):
        assert bounds, "a number has bounds"
        wrong += ["nan", "inf", str(bounds.get("ge", 1) - 1), str(bounds.get("gt", 0) - 0.5)]
        if "le" in bounds:
            wrong.append(str(bounds["le"] + 1))
            assert getattr(load(tmp_path, {f"LGSP_{name.upper()}": str(bounds["le"])}), name) == bounds["le"]
        if "ge" in bounds:
            assert getattr(load(tmp_path, {f"LGSP_{name.upper()}": str(bounds["ge"])}), name) == bounds["ge"]
    if name in ("kind", "edge_dialect", "edge_socket_dialect", "witness_policy", "stamp_policy"):
        wrong.append("other")
    for value in wrong:
        said = str(refused(tmp_path, {f"LGSP_{name.upper()}": value}))
        assert name in said and expected(name).en in said
    (tmp_path / FILE).write_text(f"{name}: [1]\n")
    assert str(refused(tmp_path, {})).startswith(
        f"{tmp_path / FILE}, line 1: {name} is [1]; it must be {expected(name).en}"
    )
    (tmp_path / FILE).write_text(f"{name}:\n")
    refused(tmp_path, {})


@trying(deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 1000)),
    st.text(st.characters(categories=["L", "N", "P", "Sm"]), max_size=40),
)
def test_what_is_saved_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, numbers: dict[str, int], text: str
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    values: dict[str, Any] = {name: type(getattr(Settings(folder), name))(number) for name, number in numbers.items()}
    values = {name: value for name, value in values.items() if not isinstance(value, str)} | {"name": text}
    settings = Settings(folder, **values)
    save(settings)
    assert load(folder, {}) == settings
    assert set(yaml.safe_load((folder / FILE).read_text("utf-8")) or {}) <= set(NAMES)


SAID = """# Máy chủ của tỉnh
name: LGSP tỉnh   # as on the seal
database: "postgresql://db1/lgsp"  # until the disk comes

# doors
doors: 3
"""


def test_one_setting_is_changed_and_the_rest_stays_as_a_person_wrote_it(tmp_path: Path) -> None:
    """The environment, which the command had, does not come into the file."""
    (tmp_path / FILE).write_text(SAID, "utf-8")
    settings = load(tmp_path, {"LGSP_DESK_PORT": "9999"})
    change(settings.data, database="postgresql://db1,db2/lgsp", secret_file="/etc/lgsp/secret")
    wanted = SAID.replace('"postgresql://db1/lgsp"', "postgresql://db1,db2/lgsp") + "secret_file: /etc/lgsp/secret\n"
    assert (tmp_path / FILE).read_text("utf-8") == wanted
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    (tmp_path / FILE).write_text("database: >-  # two hosts\n  postgresql://db1,db2/lgsp\n# the end\n", "utf-8")
    change(tmp_path, database="postgresql://db3/lgsp")
    assert (tmp_path / FILE).read_text("utf-8") == "database: postgresql://db3/lgsp\n# the end\n"


@trying(deadline=None)
@given(
    st.dictionaries(st.sampled_from(("name", "origin", "database", "secret_file")), st.text(max_size=30), max_size=4),
    st.sampled_from(("block", "flow", "long", "no end", "comment")),
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40),
)
def test_a_change_is_read_back_whatever_the_file_looked_like(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], form: str, value: str
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    text = yaml.safe_dump(before, allow_unicode=True, default_flow_style=form == "flow", width=20)
    if form == "long":
        text = "".join(f"{name}: |\n  {each!r}\n  end\n" for name, each in before.items())
    text = text.rstrip("\n") if form == "no end" else text + "# the end" * (form == "comment")
    (folder / FILE).write_text(text, "utf-8")
    kept = yaml.safe_load(text) or {}
    change(folder, database=value, name="Tên")
    wanted = kept | {"database": value, "name": "Tên"}
    if not value:  # as without the setting: an older release may not know its name
        del wanted["database"]
    assert yaml.safe_load((folder / FILE).read_text("utf-8")) == wanted


def test_a_setting_that_is_the_default_again_goes_and_the_rest_stays(tmp_path: Path) -> None:
    said = "# trên\nname: LGSP tỉnh\nvault_database: >-  # two lines\n  postgresql://db1/keys\n# dưới\ndoors: 3\n"
    (tmp_path / FILE).write_text(said, "utf-8")
    change(tmp_path, vault_database="")
    assert (tmp_path / FILE).read_text("utf-8") == "# trên\nname: LGSP tỉnh\n# dưới\ndoors: 3\n"
    change(tmp_path, doors=Settings(tmp_path).doors)
    assert (tmp_path / FILE).read_text("utf-8") == "# trên\nname: LGSP tỉnh\n# dưới\n"


def test_networks_that_are_none_are_named(tmp_path: Path) -> None:
    assert "10.20.0.1/16" in str(refused(tmp_path, {"LGSP_PUSH_NETWORKS": "10.0.0.0/8 10.20.0.1/16"}))
    assert load(tmp_path, {"LGSP_PUSH_NETWORKS": "10.0.0.0/8 ::1/128"}).push_networks == "10.0.0.0/8 ::1/128"


def test_a_place_in_the_data_folder_is_found_by_whatever_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    for inside in ("data/x", "../" + tmp_path.name + "/data/x", f"{tmp_path}/other/../data/x", "link/x"):
        assert Settings(data).holds(Path(inside)), inside
        for name in ("secret_file", "vault_backup"):
            (data / FILE).write_text(f"{name}: {inside}\n", "utf-8")
            with pytest.raises(BadSetting, match=name):
                load(data, {})
    assert not Settings(data).holds(Path("data/../x"))

"""A command is given with the name of another instance: by a setting, or by a variable that was left in the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.journal.database import open_engine, writing
from gateway.registry import identity
from gateway.sandbox import people
from gateway.settings import Settings
from tests import commandline
from tests.attacks.access.test_attack_persons import SUSPEND, held, key, lgsp, made, production, refused  # noqa: F401

WHY = "--reason", "có người sửa cơ sở dữ liệu"
GLASS = "--break-glass", "không liên lạc được với ai có khóa"


@pytest.fixture
def elsewhere(production: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:  # noqa: F811
    """The instance was started, and the next commands say another origin."""
    identity.check(open_engine(production.database_url), production)
    monkeypatch.setenv("LGSP_ORIGIN", "localhost/another")
    return production


@pytest.mark.parametrize(
    "words",
    [("console", "repair", *WHY, *GLASS), ("registry", "accept", *WHY, *GLASS), (*SUSPEND, *GLASS), ("reload",)],
    ids=" ".join,
)
def test_nothing_is_sealed_by_another_name(elsewhere: Settings, words: tuple[str, ...]) -> None:
    assert refused(elsewhere, *words) == "instance.other"


def test_no_backup_is_made_by_another_name(elsewhere: Settings, tmp_path: Path) -> None:
    assert refused(elsewhere, "backup", "make", str(tmp_path / "backup")) == "instance.other"
    assert not (tmp_path / "backup").exists()


def test_nothing_is_half_done_on_the_tables_of_an_older_release(production: Settings, tmp_path: Path) -> None:  # noqa: F811
    """The newer program before its first start: it rotated a key, and then could not note it."""
    with writing(open_engine(production.database_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0045', served = NULL")
    keys = sorted(production.keys.iterdir())
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    for words in (("keys", "rotate", "sign"), SUSPEND):
        assert refused(production, *words, *who) == "journal.schema"
    assert sorted(production.keys.iterdir()) == keys


def test_what_reads_says_so_first(elsewhere: Settings) -> None:
    before = held(elsewhere)
    assert "instance.other" in commandline.lgsp("console", "user", "list", "--data", str(elsewhere.data)).err
    codes = {each["code"] for each in lgsp(elsewhere, "doctor")[1]["findings"]}
    assert "instance.other" in codes and not codes & {"registry.altered", "accounts.altered"}
    assert held(elsewhere) == before

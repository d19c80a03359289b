"""The guide's commands are real: each is parsed by the program that it names, in both languages alike."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
from lxml import etree

from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import base, messages

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "docs" / "integrate.md", ROOT / "docs" / "vi" / "integrate.md"]


def commands(guide: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("python -m ")]


def test_both_languages_show_the_same() -> None:
    english, vietnamese = (guide.read_text("utf-8") for guide in GUIDES)
    assert commands(GUIDES[0]) == commands(GUIDES[1]) and len(commands(GUIDES[0])) == 11
    for pattern in (r"^#", r"^\| `"):
        assert len(re.findall(pattern, english, re.MULTILINE)) == len(re.findall(pattern, vietnamese, re.MULTILINE))
    codes = re.findall(r"^\| `([a-z]+\.[a-z-]*)`", english, re.MULTILINE)
    assert codes == re.findall(r"^\| `([a-z]+\.[a-z-]*)`", vietnamese, re.MULTILINE)
    known = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for code in codes:
        assert code in known or code.endswith((".crt", ".vkey", ".json")), f"{code} is not in errors.md"


@pytest.mark.parametrize("command", commands(GUIDES[0]))
def test_commands_are_real(
    command: str,
    province: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"]
    program = importlib.import_module(words[2])
    monkeypatch.chdir(tmp_path)
    if ">" in words:
        assert program.main(words[3 : words.index(">")]) == 0
        assert capfdbinary.readouterr().out
        return
    place = tmp_path / words[words.index("--identity") + 1]
    place.parent.mkdir(parents=True)
    place.symlink_to(province.identity(place.name).folder)  # type: ignore[attr-defined]
    for name in ("report.json", "ho-so.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "dossier.xml").write_bytes(messages.dossier_status_xml(event="H14.22-1"))
    (tmp_path / "alert.xml").write_bytes(messages.cap_alert())
    asked: list[object] = []

    def heard(*given: object, **how: object) -> object:
        asked.append((given, how))
        raise OSError("far enough")

    async def served(stand_in: base.StandIn, ready: Path | None) -> None:
        asked.append(stand_in)
        raise OSError("far enough")

    for place_of, name, stop in ((RestClient, "call", heard), (SoapClient, "call", heard), (base, "serve", served)):
        monkeypatch.setattr(place_of, name, stop)
    assert program.main(words[3:]) == 2 and len(asked) == 1


@pytest.mark.parametrize("kind", ["cap-alert", "indicator"])
def test_printed_messages_can_be_sent(kind: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert messages.main([kind]) == 0
    assert len(etree.fromstring(capfdbinary.readouterr().out)) >= 3

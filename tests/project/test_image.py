"""The image, by its Dockerfile: small, of an ordinary user, pinned by the lock, with a check of health that works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway import __version__
from tests.project.deploying import PATHS, ROOT, image_environment, settings_of, unknown_words


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = [line.partition(" ") for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, value.strip()) for name, _, value in lines]


FILE = _instructions()
STAGES = [index for index, (name, _) in enumerate(FILE) if name == "FROM"]
LAST = dict(FILE[STAGES[-1] :])


def test_it_is_built_in_two_stages_and_the_last_has_no_tools() -> None:
    assert len(STAGES) == 2 and FILE[STAGES[0]][1].endswith(" AS build")
    runs = " ".join(value for name, value in FILE[STAGES[-1] :] if name == "RUN")
    assert not re.search(r"pip|apt|curl|wget", runs)
    assert [value for name, value in FILE[STAGES[-1] :] if name == "COPY"] == ["--from=build /opt/lgsp /opt/lgsp"]
    assert "uninstall --yes pip" in " ".join(value for name, value in FILE[: STAGES[-1]] if name == "RUN")


def test_what_goes_into_it_is_pinned() -> None:
    (python,) = [value for name, value in FILE[: STAGES[0]] if name == "ARG"]
    assert re.fullmatch(r"PYTHON=3\.\d+-slim", python)
    assert all(FILE[stage][1].startswith("python:${PYTHON}") for stage in STAGES)
    assert not [name for name, _ in FILE if name == "ADD"]
    assert f'version="{__version__}"' in LAST["LABEL"] and "licenses=" in LAST["LABEL"]


@pytest.mark.parametrize("name", ["Dockerfile", "deploy/program.sh"])
def test_pip_takes_nothing_without_a_hash(name: str) -> None:
    """Each call of pip has the hashes of a lock, or no index; what builds the wheel is no exception."""
    text = re.sub(r"(^|\s)#.*", "", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    calls = [part.strip() for part in re.split(r"\n|&&|[;{}]", text) if re.search(r"\bpip .*\b(install|wheel)\b", part)]
    assert len(calls) >= 4 and {call for call in calls if " wheel " in call}, calls
    for call in calls:
        assert "--require-hashes" in call or "--no-index --no-deps" in call, call
        assert " wheel " not in call or "--no-build-isolation" in call, call


def test_it_runs_as_an_ordinary_user_and_says_whether_it_is_well(tmp_path: Path) -> None:
    user, group = LAST["USER"].split(":")
    assert int(user) >= 10_000 and int(group) >= 10_000
    assert unknown_words(json.loads(LAST["CMD"])) == [] and json.loads(LAST["ENTRYPOINT"]) == ["lgsp"]
    environment = image_environment()
    settings = settings_of(environment, tmp_path)
    exposed = {int(port) for port in LAST["EXPOSE"].split()}
    assert exposed == {settings.exchange_port, settings.desk_port}
    assert LAST["VOLUME"] == environment["LGSP_DATA"] == "/data"
    asked = json.loads(LAST["HEALTHCHECK"].partition("CMD ")[2])
    assert asked[:2] == ["python", "-c"] and settings.metrics_port
    compile(asked[2], "HEALTHCHECK", "exec")
    (path,) = re.findall(r"}(/\w+)'", asked[2])
    assert path in PATHS and "LGSP_METRICS_PORT" in asked[2]

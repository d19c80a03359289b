"""The samples in other languages (`examples/foreign/`): each makes signed calls to the running gateway that are
accepted, and believes nothing that the gateway did not sign. What cannot run on this machine is skipped by name; the
one for .NET never runs here (docs/client.md says so)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from lxml import etree

from examples.story import World
from gateway.sandbox.standins import messages
from tests.sample_client.small_door import Door

FOREIGN = Path(__file__).resolve().parents[2] / "examples" / "foreign"
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")
TOOLS = {"curl": ("bash", "curl", "openssl"), "java": ("java", "javac"), "node": ("node",)}
WIRE = re.compile(
    r"lgsp-[a-z]+|@[a-z]+(?:-[a-z]+)*|\b(?:content-digest|idempotency-key|signature-input|client_assertion(?:_type)?"
    r"|urn:ietf:[a-z0-9:-]+|sha-256|es256|keyid|nonce|created|expires|tag|jti|kid|sub|iss|aud)\b"
)
COMMANDS = {
    "curl": ["bash", str(FOREIGN / "curl" / "lgsp.sh")],
    "java": ["java", str(FOREIGN / "java" / "Lgsp.java")],
    "node": ["node", str(FOREIGN / "node" / "lgsp.mjs")],
}


@pytest.fixture(params=COMMANDS)
def sample(request: pytest.FixtureRequest) -> list[str]:
    missing = [tool for tool in TOOLS[request.param] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the sample for {request.param} needs {', '.join(missing)}")
    if request.param == "java":  # compiled once: the launcher would do it anew for each call
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(request.getfixturevalue("classes")), "Lgsp"]
    return COMMANDS[request.param]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    subprocess.run(
        [
            "javac",
            "--release",
            "11",
            "-Xlint:all,-serial",
            "-Werror",
            "-d",
            str(folder),
            str(FOREIGN / "java" / "Lgsp.java"),
        ],
        check=True,
    )
    return folder


def test_each_says_how_it_is_called() -> None:
    """As docs/client.md shows it: without arguments each names them, and nothing is sent."""
    for name, command in COMMANDS.items():
        if all(shutil.which(tool) for tool in TOOLS[name]):
            asked = subprocess.run(command, capture_output=True, timeout=60, check=False)
            assert (
                asked.returncode == 2
                and b"usage" in asked.stderr
                and b"IDENTITY GET|POST PATH [FILE [MESSAGE-ID]]" in asked.stderr
            )
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "bash", COMMANDS["curl"][1]], check=True)


def test_the_sample_for_dotnet_says_on_the_wire_what_those_that_run_say() -> None:
    """Headers, claims, components and parameters: the same words in all four, and a project file for .NET 8."""
    files = ("curl/lgsp.sh", "node/lgsp.mjs", "java/Lgsp.java", "dotnet/Lgsp.cs")
    said = {each: set(WIRE.findall((FOREIGN / each).read_text("utf-8").lower())) for each in files}
    assert len(said["dotnet/Lgsp.cs"]) > 25
    assert all(each == said["dotnet/Lgsp.cs"] for each in said.values()), said
    project = etree.parse(FOREIGN / "dotnet" / "Lgsp.csproj").getroot()
    assert project.get("Sdk") == "Microsoft.NET.Sdk" and project.findtext(".//TargetFramework") == "net8.0"


def call(sample: list[str], identity: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*sample, str(identity), *words], capture_output=True, timeout=60, check=False)


@pytest.mark.sampled("curl", "node")
@pytest.mark.server
def test_a_signed_get_and_a_signed_post_are_accepted(sample: list[str], world: World, tmp_path: Path) -> None:
    asked = call(sample, world.identities / "y-te", "GET", QUESTION)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == world.rest("y-te").call("GET", QUESTION).body and b"(not signed)" not in asked.stderr
    report, known_as = tmp_path / "report.json", str(uuid.uuid4())
    report.write_text(json.dumps(messages.field_report(area="01273"), ensure_ascii=False, default=float), "utf-8")
    before = world.seen("do-thi")["records"]
    sent = [
        call(sample, world.identities / "phan-anh", "POST", "/field-report/v1/requests", str(report), known_as)
        for _ in range(2)
    ]
    assert [each.returncode for each in sent] == [0, 0], sent[0].stderr
    assert sent[0].stdout == sent[1].stdout and json.loads(sent[0].stdout)["service_request_id"].startswith("SXD-")
    assert world.seen("do-thi")["records"] == before + 1  # a repeat under its id is one
    refused = call(sample, world.identities / "y-te", "GET", QUESTION.replace("2026-Q3", "never"))
    assert (
        refused.returncode == 1
        and json.loads(refused.stdout)["code"] == "message.invalid"
        and b"(not signed)" not in refused.stderr
    )
    stranger = call(sample, world.identities / "chua-dang-ky", "GET", QUESTION)
    assert stranger.returncode in (1, 2) and b"channel.unknown-system" in stranger.stdout + stranger.stderr


def test_what_the_gateway_did_not_sign_is_not_believed(sample: list[str], door: Door) -> None:
    identity = door.province.identity("phan-anh", address=door.url).folder
    assert call(sample, identity, "GET", "/first").returncode == 0
    for path, command in (
        ("/feeds/incident-alert/v1/export?form=csv", b"feed-export CONTRACT FILE"),
        ("/feeds/incident-alert/v1?after=c1&form=events", b"feed CONTRACT --follow"),
    ):
        told = call(sample, identity, "GET", path)  # only the head of what comes in parts is signed
        assert told.returncode == 2 and b"use lgsp client " + command in told.stderr and len(door.requests) == 1
    for broken in ("unsigned", "body", "receipt", "binding"):
        door.break_it = broken
        ended = call(sample, identity, "GET", "/second")
        assert (ended.returncode, ended.stdout) == (2, b""), (broken, ended.stderr)
        assert b"proven" in ended.stderr.lower() and len(ended.stderr.splitlines()) == 1, ended.stderr
    door.break_it = ""
    other = door.province.identity("phan-anh", whom="do-thi", address=door.url).folder
    assert call(sample, other, "GET", "/third").returncode == 2  # pinned is another's key

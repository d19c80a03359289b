"""The run of all checks: what it counts, names, leaves out and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests import durations, green, lanes, leftovers, quick, suite
from tests.counters import KINDS
from tests.durations import Taken
from tests.lanes import ROOT

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def told(folder: Path, text: str, *words: str, **environment: str) -> tuple[int, list[Taken]]:
    """A file with these tests, run below the project's own `conftest.py`: the exit code and the tests."""
    (folder / "test_three.py").write_text(text)
    report = folder / "report.xml"
    command = [*PYTEST, "-c", str(ROOT / "pyproject.toml"), f"--junitxml={report}", "-p", "tests.conftest", *words]
    done = subprocess.run(
        [*command, str(folder / "test_three.py")], cwd=ROOT, capture_output=True, env=os.environ | environment
    )
    return done.returncode, durations.read(report)


THREE = "def test_a(): pass\ndef test_b(): assert 0\ndef test_c(missing): pass\n"


def test_the_run_counts_and_names_what_failed(tmp_path: Path) -> None:
    """Who reads the end of a long output finds the names there."""
    code, tests = told(tmp_path, THREE)
    assert code == 1
    assert +suite.reported(tests) == {"passed": 1, "failed": 2}
    assert [each.name.rpartition("::")[2] for each in tests if each.failed] == ["test_b", "test_c"]


def test_what_the_time_does_not_reach_is_named_and_is_no_skip(tmp_path: Path) -> None:
    code, tests = told(tmp_path, THREE, "--until", "1")
    assert code == 0 and +suite.reported(tests) == {"not reached": 3}


def test_what_a_test_costs_is_recorded(tmp_path: Path) -> None:
    """Its commands, too."""
    text = (
        "import asyncio, subprocess, sys, time\nfrom cryptography.hazmat.primitives.asymmetric import rsa\n"
        "from hypothesis import given, settings, strategies\n"
        "def test_a():\n    subprocess.run([sys.executable, '-c', 'sum(range(9_000_000))'])\n"
        "    rsa.generate_private_key(65537, 1024)\n    time.sleep(0.5)\n    time.sleep(0.01)\n"
        "async def test_b():\n    await asyncio.sleep(0.5)\n"
        "    waiting = asyncio.create_task(asyncio.sleep(300))\n    await asyncio.sleep(0)\n    waiting.cancel()\n"
        "@settings(max_examples=7)\n@given(strategies.integers())\ndef test_c(number): pass\n"
    )
    _, (dear, cheap, law) = told(tmp_path, text)
    assert dear.cost["processor"] > 3 * cheap.cost.get("processor", 0) and dear.cost["processor"] > 0.05
    counted = {name: number for name, number in dear.cost.items() if name != "processor"}
    assert counted == {"programs": 1, "rsa": 1, "slept": 0.5}
    assert cheap.cost["slept"] == 0.5, "a sleep that is given up is none"
    assert law.cost["examples"] == 7


WALK = """
import pytest
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a(database): pass
@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("number", range(7))
def test_b(number): pass
@pytest.mark.sampled("*-rest", but=("late-*",))
@pytest.mark.parametrize("case", ["near-rest", "near-soap", "late-rest"])
def test_c(case): pass
@pytest.mark.full
def test_d(): pass
@pytest.mark.parametrize("database", ["postgresql"])
def test_e(database): pass
"""


def test_each_test_is_in_one_lane(tmp_path: Path) -> None:
    def of(*words: str) -> list[str]:
        return [each.name.rpartition("::")[2] for each in told(tmp_path, WALK, *words)[1]]

    default, full = of("-m", "not full"), of("-m", "full")
    sample = ["test_b[0]", "test_b[3]", "test_b[6]", "test_c[near-rest]"]
    assert default == ["test_a[sqlite]", *sample, "test_e[postgresql]"]
    assert sorted(default + full) == sorted(of())


def test_every_run_takes_what_no_other_takes() -> None:
    """Whether a test is in a run is decided by its file and two markers."""
    server, plain = "tests/story/test_story.py", "tests/workflow/test_watching.py"

    def takes(run: suite.Run, file: str, markers: set[str]) -> bool:
        clause = run.words[run.words.index("-m") + 1].replace("and", "&").replace("not ", "~")
        names = {name: name in markers for name in ("server", "full")}
        wanted = all(names[part.strip(" ~")] != part.strip().startswith("~") for part in clause.split("&"))
        return wanted and (run.files == ("tests",) or file in run.files)

    def counted(runs: list[suite.Run], file: str, markers: set[str]) -> int:
        return sum(takes(run, file, markers) for run in runs)

    for file in (server, plain, lanes.MEASURES):
        for markers in ({"server"}, {"server", "full"}) if file != plain else (set[str](), {"full"}):
            assert counted(suite.runs(), file, markers) == ("full" not in markers)
            assert counted(suite.runs(full=True), file, markers) == 1
            parts = [suite.runs(durations.shard(lanes.test_files(), part, 4), full=True) for part in (1, 2, 3, 4)]
            assert sum(counted(runs, file, markers) for runs in parts) == 1


def test_shards_are_of_equal_length() -> None:
    parts = [durations.shard(lanes.test_files(), part, 4) for part in (1, 2, 3, 4)]
    assert sorted(file for part in parts for file in part) == lanes.test_files()
    lengths = [sum(map(durations.seconds_of, part)) for part in parts]
    assert max(lengths) < 1.2 * min(lengths)


def test_the_table_knows_nearly_all_files() -> None:
    """Else shards are guesses: ./lgsp test --full --record makes it anew."""
    unknown = set(lanes.test_files()) - durations.recorded().keys()
    assert len(unknown) < 0.05 * len(lanes.test_files()), sorted(unknown)


def test_what_stays_in_spite_of_its_length_is_named_with_its_promise() -> None:
    assert len(lanes.kept()) <= 40
    for name, promise in lanes.kept().items():
        path, _, test = name.partition("::")
        assert (lanes.ROOT / path).exists() and promise, name
        assert not test or test in (lanes.ROOT / path).read_text("utf-8"), name


def test_a_row_without_tests_is_no_success_unless_it_may_be_empty(tmp_path: Path) -> None:
    nothing = suite.Run("none", ("tests/notices",), ("-m", "server"))
    assert not suite.run_tests(nothing, tmp_path).ok
    assert suite.run_tests(nothing, tmp_path, empty=True).ok


def test_of_what_ran_twice_the_last_end_counts(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert green.passed(notes) == set()
    notes.write_text("ok a::b\nfailed a::c\nok a::d[x y]\nfailed a::b\nok a::c\n")
    assert green.passed(notes) == {"a::c", "a::d[x y]"}


@pytest.mark.full
def test_what_has_passed_is_not_run_again_on_the_same_tree(tmp_path: Path) -> None:
    """By files: one whose tests have not all passed runs whole."""
    (tmp_path / "test_good.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    (tmp_path / "test_bad.py").write_text(THREE)
    notes = tmp_path / "notes"

    def names(*words: str) -> set[str]:
        report = tmp_path / "report.xml"
        command = [*PYTEST, "-c", str(lanes.ROOT / "pyproject.toml"), "-p", "tests.conftest", f"--junitxml={report}"]
        command += ["--green", str(notes), *words, "-n", "2", "--dist", "loadfile", str(tmp_path)]
        subprocess.run(command, cwd=lanes.ROOT, capture_output=True)
        return {each.name.rpartition("::")[2] for each in durations.read(report)}

    assert names() == names("-q") and len(notes.read_text().splitlines()) == 10
    assert names("--continue") == {"test_a", "test_b", "test_c"}
    assert len(notes.read_text().splitlines()) == 13, "three of the bad file, no one of the good"
    if (lanes.ROOT / ".git").exists():
        assert green.place() == green.place() is not None


def test_a_lane_that_starts_more_than_its_bound_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "BOUNDS", tmp_path / "bounds.tsv")
    suite.BOUNDS.write_text("kind\tmost\ninstances\t2\nslept\t1.5\n")
    tests = [Taken("tests/story/test_story.py", "…", 0.1, {"instances": 1, "slept": 0.5}, False, "") for _ in range(3)]
    assert suite.beyond(tests[:2]) == []
    (line,) = suite.beyond(tests)
    assert line.startswith("instances: 3, and at most 2") and "tests/story/test_story.py 3" in line
    assert suite.summary([suite.Step("tests", True, 1.0, Counter(passed=3))], time.monotonic(), [line]) == 1
    assert "1 failed, 3 passed" in capsys.readouterr().out


def test_every_kind_that_is_counted_has_a_bound() -> None:
    kinds = [line.split("\t")[0] for line in suite.BOUNDS.read_text("utf-8").splitlines()[1:]]
    assert kinds == list(KINDS)


@pytest.mark.parametrize(
    "words",
    ["--shard 1/4", "--full --shard 5/4", "--full --shard x", "--since HEAD", "--quick --full", "--full -k x",
     "--full --record tests/doors", "--full --continue --record", "--full no/such/folder"],
)  # fmt: skip
def test_words_that_do_not_go_together_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        suite.main(words.split())
    assert ended.value.code not in (0, None)


ADVISORY = {"id": "PYSEC-0000-1", "fix_versions": [], "aliases": [], "description": "made up"}


def test_known_weaknesses_fail_and_unreachable_advisories_are_a_skip() -> None:
    """pip-audit's JSON: of a package with a weakness, of one without, and of one that it passed over."""
    weak = {"name": "one", "version": "1.0", "vulns": [ADVISORY]}
    good = {"name": "two", "version": "2.0", "vulns": []}
    over = {"name": "three", "skip_reason": "Dependency not found on PyPI and could not be audited"}

    def judged(*packages: object) -> tuple[bool, Counter[str]]:
        ok, counts, said = suite.audited(json.dumps({"dependencies": packages}))
        assert said
        return ok, +counts

    assert judged(good) == (True, {"passed": 1})
    assert judged(good, over) == (True, {"passed": 1, "skipped": 1})
    assert judged(over) == (True, {"skipped": 1})
    assert judged(good, weak) == (False, {"failed": 1})
    assert judged(over, weak) == (False, {"failed": 1, "skipped": 1})
    for answer in ("", "not json", "[]", "{}"):
        ok, counts, _ = suite.audited(answer)
        assert ok and +counts == {"skipped": 1}


def test_a_weak_package_makes_the_step_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the whole way: the command's output is read, the summary counts it, the run's exit code tells it."""
    answer = json.dumps({"dependencies": [{"name": "one", "version": "1.0", "vulns": [ADVISORY]}]})
    monkeypatch.setattr(subprocess, "run", lambda *given, **more: subprocess.CompletedProcess(given, 1, answer, ""))
    step = suite.audit("requirements.lock")
    assert not step.ok and suite.summary([step], time.monotonic()) == 1
    said = capsys.readouterr().out
    assert "one 1.0: PYSEC-0000-1" in said and "1 failed" in said


def test_quick_takes_what_changed_then_what_imports_it() -> None:
    def folders(files: list[str]) -> set[str]:
        return {durations.folder_of(file) for file in files}

    chosen = quick.choose(["gateway/feeds/pages.py"])
    assert folders(chosen.first) == {"feeds"}
    assert chosen.first == sorted(chosen.first, key=lambda file: (durations.seconds_of(file), file)), "cheapest first"
    assert {"doors", "keeper", "console"} <= folders(chosen.then) and not {"agent", "feeds"} & folders(chosen.then)
    codecs = quick.choose(["contracts/codecs/plan.py"])
    assert all(file.startswith("tests/contracts/codecs/") for file in codecs.first) and codecs.first
    assert any(file.startswith("tests/contracts/compiled/") for file in codecs.then)
    template = quick.choose(["gateway/console/templates/home.html", "README.md", "tests/feeds/test_feed_keys.py"])
    assert folders(template.first) == {"console", "project", "feeds"}
    assert quick.choose([]) == quick.Chosen([], [])


@pytest.mark.full
def test_what_a_run_left_behind_is_ended(tmp_path: Path) -> None:
    """A grandchild whose parent is gone, which ignores SIGTERM: by a run that ends, and by one that is interrupted."""
    deaf = (
        "import os, signal, time\n"
        "def test_a():\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0:\n"
        "            signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"            open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "            time.sleep(300)\n"
        "        os._exit(0)\n"
        f"    while not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.01)\n"
        f"    time.sleep(300 if os.path.exists({str(tmp_path / 'wait')!r}) else 0)\n"
    )
    (tmp_path / "test_deaf.py").write_text(deaf)
    words = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)]
    command = [sys.executable, str(ROOT / "tests" / "suite.py"), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    for interrupted in (False, True):
        (tmp_path / "pid").unlink(missing_ok=True)
        if interrupted:
            (tmp_path / "wait").touch()
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        if interrupted:
            run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
        assert b"left behind" in said
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_processes_are_found_below_those_that_started_them() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in leftovers.below(os.getpid()) and os.getpid() not in leftovers.below(child.pid)
        child.communicate(b"\n")

"""All checks of the project in one run: style and unsafe calls (ruff, its S rules), types, the import rule, known
weaknesses, then the tests. `./lgsp test` calls it.

Two rows of steps run beside each other, so that no core is idle: the checks and after them the pure tests, which have a
lower priority; and the tests that start real servers (marker `server`), which wait for processes half of their time.
Those are printed when they end. In either row two processes share the files. Measures run last, alone. Every step runs
even when one before it failed; the last line counts all of it in pytest's own form.

Invariant: the exit code is 0 only if every step passed and at least one test of each pytest run was executed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CHECKS: dict[str, list[str]] = {
    "ruff check": [PYTHON, "-m", "ruff", "check", "--quiet", "."],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."],
    "import rule": [PYTHON, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "mypy --strict": [PYTHON, "-m", "mypy"],
}
LOCKS = ("requirements.lock", "requirements-test.lock")
LOWER = ("nice", "-n", "5")  # a quarter of a core that others want whole, and all that they leave
NAMED = 30  # how many failed tests of a step the summary names
_MARKER = "pytest.mark." + "server"
MEASURES = "tests/project/test_bench.py"  # alone on the machine, or what they measure is something else
TESTS: dict[str, list[str]] = {
    "tests, pure": ["-m", "not server", "-n", "2", "--dist", "loadfile"],
    "tests, servers": [
        "-m",
        "server",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
    ],
    "tests, measures": ["-m", "server"],
}


def server_files() -> list[str]:
    """The files whose tests may start real servers, relative to the project: those that name the marker, or have a
    `conftest.py` beside them that does. The run of these tests collects no other file."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name == "conftest.py" or path.name.startswith("test_"):
            if _MARKER in path.read_text("utf-8"):
                found |= set(path.parent.glob("test_*.py") if path.name == "conftest.py" else [path])
    return sorted(str(path.relative_to(ROOT)) for path in found)


def files_of(name: str) -> list[str]:
    """What a run of tests collects. The measures run apart."""
    if name == "tests, measures":
        return [MEASURES]
    return [each for each in server_files() if each != MEASURES] if name == "tests, servers" else ["tests"]


@dataclass(slots=True)
class Step:
    name: str
    ok: bool
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)  # names of tests


def run(name: str, command: list[str], said: Path | None = None) -> Step:
    """What it says is printed as it comes, or is kept in a file until it ended. A pipe would stay open as long as a
    process that a test left behind."""
    start = time.monotonic()
    if said is None:
        print(f"\n--- {name}", flush=True)
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode
        return Step(name, code == 0, time.monotonic() - start)
    with said.open("wb") as out:
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    print(f"\n--- {name}\n{said.read_text('utf-8', 'replace')}", flush=True)
    return Step(name, code == 0, time.monotonic() - start)


def audit(lock: str) -> Step:
    """The known weaknesses of what a lock pins. Where the advisories cannot be reached pip-audit says "no known
    vulnerabilities" all the same, and names each package as passed over: that is told as what it is, a check that was
    not made."""
    name = f"pip-audit, {lock}"
    print(f"\n--- {name}", flush=True)
    start = time.monotonic()
    command = [
        PYTHON,
        "-m",
        "pip_audit",
        "-r",
        lock,
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--timeout",
        "5",
        "-f",
        "json",
    ]
    step = Step(name, True, 0.0)
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        packages = []
    weak = [f"{each['name']} {each['version']}: {found['id']}" for each in packages for found in each.get("vulns", ())]
    passed_over = [each["name"] for each in packages if "skip_reason" in each]
    looked_at = len(packages) - len(passed_over)
    for line in weak:
        print(line)
    step.ok = not weak
    step.counts.update(
        failed=len(weak), passed=int(looked_at > 0 and not weak), skipped=int(not looked_at or bool(passed_over))
    )
    told = f"{looked_at} packages looked at" + (
        f", {len(passed_over)} not: {', '.join(passed_over[:5])}…" if passed_over else ""
    )
    print(
        told if looked_at else "SKIPPED: the database of advisories cannot be reached from here; nothing was looked at"
    )
    step.seconds = time.monotonic() - start
    return step


def run_tests(name: str, folder: Path, *, first: tuple[str, ...] = (), aside: bool = False) -> Step:
    """`first`: words before the command. `aside`: beside another step, which prints as it goes."""
    report = folder / f"{name}.xml"
    command = [
        *first,
        PYTHON,
        "-m",
        "pytest",
        *files_of(name),
        "-q",
        "--durations=5",
        f"--junitxml={report}",
        *TESTS[name],
    ]
    step = run(name, command, folder / f"{name}.txt" if aside else None)
    if report.exists():
        step.counts, step.failed = reported(report)
    return step


def reported(report: Path) -> tuple[Counter[str], list[str]]:
    """How many tests passed, failed, had errors or were skipped by pytest's JUnit file, and the names of those that
    failed."""
    counts: Counter[str] = Counter()
    root = ElementTree.parse(report).getroot()
    for suite in root.iter("testsuite"):
        failed, errors, skipped = (int(suite.get(key, "0")) for key in ("failures", "errors", "skipped"))
        counts.update(failed=failed, errors=errors, skipped=skipped)
        counts["passed"] += int(suite.get("tests", "0")) - failed - errors - skipped
    cases = (each for each in root.iter("testcase") if {"failure", "error"} & {part.tag for part in each})
    return counts, [f"{each.get('classname')}::{each.get('name')}" for each in cases]


def main() -> int:
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(1) as second:
        folder = Path(made)
        servers = second.submit(run_tests, "tests, servers", folder, aside=True)
        steps = [run(name, command) for name, command in CHECKS.items()]
        steps += [audit(lock) for lock in LOCKS]
        steps += [run_tests("tests, pure", folder, first=LOWER), servers.result()]
        steps.append(run_tests("tests, measures", folder))
    total: Counter[str] = Counter()
    print("\n--- summary")
    for step in steps:
        total.update(step.counts)
        counted = ", ".join(f"{count} {what}" for what, count in step.counts.items() if count)
        print(f"{'ok    ' if step.ok else 'FAILED'} {step.name:<33} {step.seconds:6.1f} s  {counted}")
        if not step.ok and not step.counts["failed"] + step.counts["errors"]:
            total["failed"] += 1  # a check, or a run that broke before its tests
        for name in step.failed[:NAMED]:  # again, where a reader of the end of a long output finds them
            print(f"       {name}")
        if len(step.failed) > NAMED:
            print(f"       and {len(step.failed) - NAMED} more")
    words = [
        f"{total[what]} {what}" for what in ("failed", "errors", "passed", "skipped") if total[what] or what == "passed"
    ]
    print("\n" + f" {', '.join(words)} in {time.monotonic() - start:.2f}s ".center(100, "="))
    return 0 if all(step.ok for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main())

"""All checks of the project in one run: style and unsafe calls (ruff, its S rules), types, the import rule, known
weaknesses, then the tests. `./lgsp test` calls it; with words that are none of its options it is pytest.

    ./lgsp test                             the default lane: what judges a change
    ./lgsp test --quick                     what changed, and what imports it: two minutes, no server (tests/quick.py)
    ./lgsp test --full                      all that there is (tests/lanes.py)
    ./lgsp test --full tests/attacks        of a folder, or of a file
    ./lgsp test --full --shard 1/4          a part; the parts take about as long as each other
    ./lgsp test --full --continue           goes on where an earlier run of the same tree stopped (tests/green.py)
    ./lgsp test --full --record             writes what each file costs (tests/durations.py)

Two rows of steps run beside each other, so that no core is idle: the checks and after them the pure tests, which have a
lower priority; and the tests that start real servers (marker `server`), which wait for processes half of their time.
Those are printed when they end. In either row two processes share the files. Measures run last, alone. Every step runs
even when one before it failed; a line at the end counts all of it in pytest's own form.

Invariant: the exit code is 0 only if every step passed and at least one test was executed.
Invariant: what the run started has ended when it ends, after an interrupt, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests import durations, green, leftovers, quick
from tests.counters import KINDS
from tests.lanes import MEASURES, ROOT, server_files, test_files

PYTHON = sys.executable
CHECKS: dict[str, list[str]] = {
    "ruff check": [PYTHON, "-m", "ruff", "check", "--quiet", "."],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."],
    "import rule": [PYTHON, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "mypy --strict": [PYTHON, "-m", "mypy"],
}
LOCKS = ("requirements.lock", "requirements-test.lock")
LOWER = ("nice", "-n", "5")  # a quarter of a core that others want whole, and all that they leave
NAMED = 30  # how many tests of a step the summary names
NOTHING: Final = 5  # exit code of pytest: no test was collected
NEAR: Final = (
    35 * 60
)  # seconds: a run of the default lane is stopped, and lost, at 90 minutes, and should end within 20
BOUNDS: Final = ROOT / "tests" / "project" / "bounds.tsv"
_SHARED: Final = ("--dist", "loadfile", "--no-loadscope-reorder")  # the processes of a run take file by file


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pytest: which files it collects, and which of their tests it takes."""

    name: str
    files: tuple[str, ...]
    words: tuple[str, ...]


def runs(chosen: Sequence[str] | None = None, *, full: bool = False) -> list[Run]:
    """The pure tests, those with servers, and the measures. `chosen`: files of tests; all, if None.

    Each test that is chosen is in one of them: the first takes what does not start servers, the others share the files
    of those that do.
    """
    lane = "" if full else " and not full"
    servers = [each for each in server_files() if chosen is None or each in chosen]
    rows = [
        Run(
            "tests, pure",
            ("tests",) if chosen is None else tuple(chosen),
            ("-m", f"not server{lane}", "-n", "2", *_SHARED),
        ),
        Run(
            "tests, servers",
            tuple(each for each in servers if each != MEASURES),
            ("-m", f"server{lane}", "-n", "2", *_SHARED),
        ),
        Run("tests, measures", tuple(each for each in servers if each == MEASURES), ("-m", f"server{lane}")),
    ]
    return [each for each in rows if each.files]


def below(paths: Iterable[str]) -> list[str]:
    """The files of tests that are given, or lie in folders that are."""
    chosen: set[str] = set()
    for path in paths:
        name = os.path.relpath(path, ROOT)
        found = [each for each in test_files() if name == "." or each == name or each.startswith(name + "/")]
        if not found:
            raise SystemExit(f"./lgsp test --full: there is no test in {path}; a file or a folder of tests is needed")
        chosen.update(found)
    return sorted(chosen)


@dataclass(slots=True)
class Step:
    name: str
    ok: bool
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)  # names of tests
    left: list[str] = field(default_factory=list)  # files with tests that were not reached
    tests: list[durations.Taken] = field(default_factory=list)
    code: int = 0  # its exit code


def run(name: str, command: list[str], said: Path | None = None) -> Step:
    """What it says is printed as it comes, or is kept in a file until it ended. A pipe would stay open as long as a
    process that a test left behind."""
    start = time.monotonic()
    if said is None:
        print(f"\n--- {name}", flush=True)
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode
        return Step(name, code == 0, time.monotonic() - start, code=code)
    with said.open("wb") as out:
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    print(f"\n--- {name}\n{said.read_text('utf-8', 'replace')}", flush=True)
    return Step(name, code == 0, time.monotonic() - start, code=code)


def audit(lock: str) -> Step:
    """The known weaknesses of what a lock pins. Where the advisories cannot be reached pip-audit says "no known
    vulnerabilities" all the same, and names each package as passed over: that is told as what it is, a check that was
    not made."""
    name = f"pip-audit, {lock}"
    print(f"\n--- {name}", flush=True)
    start = time.monotonic()
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "5", "-f", "json"]
    command = [PYTHON, "-m", "pip_audit", "-r", lock, *options]
    step = Step(name, True, 0.0)
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        step.ok, step.counts, lines = audited(done.stdout)
    except subprocess.TimeoutExpired:
        step.ok, step.counts, lines = audited("")
    print("\n".join(lines))
    step.seconds = time.monotonic() - start
    return step


def audited(answer: str) -> tuple[bool, Counter[str], list[str]]:
    """What pip-audit's JSON means: whether the check holds, how it counts, and what is said of it."""
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    weak = [f"{each['name']} {each['version']}: {found['id']}" for each in packages for found in each.get("vulns", ())]
    passed_over = [each["name"] for each in packages if "skip_reason" in each]
    looked_at = len(packages) - len(passed_over)
    counts = Counter(
        failed=len(weak), passed=int(looked_at > 0 and not weak), skipped=int(not looked_at or bool(passed_over))
    )
    if not looked_at:
        return (
            not weak,
            counts,
            [*weak, "SKIPPED: the database of advisories cannot be reached from here; nothing was looked at"],
        )
    told = f", {len(passed_over)} not: {', '.join(passed_over[:5])}…" if passed_over else ""
    return not weak, counts, [*weak, f"{looked_at} packages looked at{told}"]


def run_tests(
    chosen: Run, folder: Path, *, first: Sequence[str] = (), aside: bool = False, empty: bool = False
) -> Step:
    """`first`: words before the command. `aside`: beside another step, which prints as it goes. `empty`: it may be that
    none of its tests is wanted."""
    report = folder / f"{chosen.name}.xml"
    pytest = [PYTHON, "-m", "pytest", *chosen.files, "-q", f"--junitxml={report}", *chosen.words]
    step = run(chosen.name, [*first, *pytest], folder / f"{chosen.name}.txt" if aside else None)
    if report.exists():
        step.tests = durations.read(report)
        step.left = sorted({each.file for each in step.tests if not each.reached})
        step.failed = [each.name for each in step.tests if each.failed]
        step.counts = reported(step.tests)
    if empty and step.code == NOTHING:
        step.ok = True
    return step


def reported(tests: Iterable[durations.Taken]) -> Counter[str]:
    """How many tests passed, failed, were skipped or not reached. An error before or after a test counts as failed."""
    counts: Counter[str] = Counter(failed=0, passed=0, skipped=0)
    for each in tests:
        if not each.failed and not each.reached:
            counts["not reached"] += 1
        else:
            counts["failed" if each.failed else "skipped" if each.skipped else "passed"] += 1
    return counts


def lane(asked: argparse.Namespace, chosen: Sequence[str] | None) -> int:
    """The default lane, or what was asked for of the full one. `chosen`: files of tests; all, if None."""
    start = time.monotonic()
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(1) as second:
        folder = Path(made)
        rows = {each.name: each for each in runs(chosen, full=asked.full)}
        if asked.full and (notes := green.place()):
            words = ("--green", str(notes), *(("--continue",) if asked.go_on else ()))
            rows = {name: replace(each, words=(*each.words, *words)) for name, each in rows.items()}
        empty = chosen is not None or asked.go_on  # a part; of all tests some are in either row
        servers = rows.get("tests, servers")
        aside = second.submit(run_tests, servers, folder, aside=True, empty=empty) if servers else None
        if chosen is None or asked.shard and asked.shard[0] == 1:
            steps += [run(name, command) for name, command in CHECKS.items()]
            steps += [audit(lock) for lock in LOCKS]
        steps.append(run_tests(rows["tests, pure"], folder, first=LOWER, empty=empty))
        steps += [aside.result()] if aside else []
        steps += [run_tests(rows["tests, measures"], folder, empty=True)] if "tests, measures" in rows else []
    tests = [each for step in steps for each in step.tests]
    if asked.record:
        durations.record(tests)
    print("\n--- the dearest tests", *durations.dearest(tests), sep="\n")
    wrong = [] if asked.full else beyond(tests)
    if line := durations.unknown(tests):
        print("\n" + line)
    if asked.go_on and not tests and all(step.ok for step in steps):
        print("\nnothing is left: every test of these files has passed on this tree")
        return 0
    code = summary(steps, start, wrong)
    if not asked.full and (seconds := time.monotonic() - start) > NEAR:
        said = f"this run took {seconds / 60:.0f} minutes, and 20 are meant; the dearest files"
        print(f"{said}: {', '.join(durations.dearest_files(tests))}")
    return code


def beyond(tests: Sequence[durations.Taken]) -> list[str]:
    """What the default lane starts and makes, against the bounds of `tests/project/bounds.tsv`: a line for each kind
    that is above its own. What a run did not take because it broke off is not known, so nothing is said of less."""
    total: Counter[str] = Counter()
    for each in tests:
        total.update(each.cost)
    print("\n--- counted in this lane, and the most that there may be")
    wrong = []
    for line in BOUNDS.read_text("utf-8").splitlines()[1:]:
        kind, most = line.split("\t")
        print(f"{total[kind]:10.0f}  {most:>8}  {kind}: {KINDS[kind]}")
        if total[kind] > float(most):
            ordered = sorted(durations.sums(tests).items(), key=lambda each: -each[1][kind])[:5]
            files = ", ".join(f"{file} {row[kind]:.0f}" for file, row in ordered)
            wrong.append(
                f"{kind}: {total[kind]:.0f}, and at most {most} by tests/project/bounds.tsv. Most: {files}. Share what "
                "is started, give the marker `full`, or raise the bound in the same commit"
            )
    return wrong


def summary(steps: Sequence[Step], start: float, wrong: Sequence[str] = ()) -> int:
    """Prints what each step counted, and all together. `wrong`: what was found besides. Returns the exit code."""
    total: Counter[str] = Counter()
    print("\n--- summary")
    for step in steps:
        total.update(step.counts)
        counted = ", ".join(f"{count} {what}" for what, count in step.counts.items() if count)
        print(f"{'ok    ' if step.ok else 'FAILED'} {step.name:<33} {step.seconds:6.1f} s  {counted}")
        if not step.ok and not step.counts["failed"]:
            total["failed"] += 1  # a check, or a run that broke before its tests
        for said, names in (("", step.failed), ("not reached: ", step.left)):
            for name in names[:NAMED]:  # again, where a reader of the end of a long output finds them
                print(f"       {said}{name}")
            if len(names) > NAMED:
                print(f"       and {len(names) - NAMED} more")
    for line in wrong:
        print(f"FAILED {line}")
    total["failed"] += len(wrong)
    if not total["failed"] + total["passed"]:
        total["failed"] += 1
        print("FAILED no test was executed")
    words = [f"{total[what]} {what}" for what in ("failed", "passed", "skipped", "not reached") if total[what]]
    print("\n" + f" {', '.join(words)} in {time.monotonic() - start:.2f}s ".center(100, "="))
    return 1 if total["failed"] or not all(step.ok for step in steps) else 0


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part as 1/4 is")
    return int(number), int(of)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./lgsp test",
        allow_abbrev=False,
        description="Checks and tests the project: the default lane, which judges a change. Other words go to pytest.",
    )
    parser.add_argument("--quick", action="store_true", help="what changed and what imports it, in two minutes")
    parser.add_argument("--since", metavar="COMMIT", help="with --quick: changes since this commit")
    parser.add_argument("--full", action="store_true", help="all that there is, or the files and folders that follow")
    parser.add_argument("--shard", type=_shard, metavar="K/N", help="with --full: this part")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="with --full: no file that has passed")
    parser.add_argument("--record", action="store_true", help="with --full: writes tests/durations.tsv")
    asked, rest = parser.parse_known_args(words)
    if asked.since and not asked.quick:
        parser.error("--since goes with --quick")
    if (asked.shard or asked.go_on or asked.record) and not asked.full:
        parser.error("--shard, --continue and --record go with --full")
    if asked.go_on and not (ROOT / ".git").exists():
        parser.error("--continue needs a git checkout, which says whether the tree is the same")
    if asked.record and (rest or asked.shard or asked.go_on):
        parser.error("--record takes all tests in one run")
    if asked.quick and (asked.full or rest):
        parser.error("--quick takes nothing else but --since")
    if asked.full and any(each.startswith("-") for each in rest):
        parser.error("--full takes files and folders; pytest's own options go without it")
    chosen = below(rest or ["tests"]) if asked.full and (rest or asked.shard) else None
    if asked.shard:
        chosen = durations.shard(chosen or (), *asked.shard)

    def run_all() -> int:
        if asked.quick:
            return quick.main(asked.since)
        if rest and not asked.full:
            return subprocess.run([PYTHON, "-m", "pytest", *rest], cwd=ROOT).returncode
        return lane(asked, chosen)

    return leftovers.guarded(run_all)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Imports and checks every listed document: `python -m tests.contracts.importers.public [WORD …]`.

Fetches the packages first. Prints each document with its outcome and every loss, then the numbers. A WORD keeps the
documents whose package, path or kind contains it. Ends with 1 where a digest differs or the bounds below are not met.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from tests.contracts.importers import publiclist as listed
from tests.contracts.importers.publicfetching import unpacked
from tests.contracts.importers.publiclist import Document
from tests.contracts.importers.publictrial import DRAFTED, Outcome, Task, all_tried

LEAST_PASSED: Final = 0.99  # of the drafts


def main(words: Sequence[str]) -> int:
    documents = [
        each for each in listed.read() if not words or any(word in f"{each.kind} {each.shown()}" for word in words)
    ]
    tasks, wrong = _tasks(documents)
    outcomes: list[tuple[Document, Outcome]] = []
    for task, outcome in all_tried(list(tasks)):
        outcomes.append((tasks[task], outcome))
        print("\n".join(_lines(*outcomes[-1])), flush=True)
    print("\n".join([*summary(outcomes), *(f"not the listed document: {each}" for each in wrong)]))
    return 1 if wrong or not good([outcome for _, outcome in outcomes]) else 0


def _tasks(documents: Sequence[Document]) -> tuple[dict[Task, Document], list[str]]:
    """What to try; and the documents that are not there, or not with the listed digest."""
    tasks: dict[Task, Document] = {}
    wrong: list[str] = []
    unreached: set[listed.Package] = set()
    for each in documents:
        if each.package in unreached:
            continue
        try:
            folder = unpacked(each.package)
        except (OSError, subprocess.SubprocessError) as error:
            unreached.add(each.package)
            wrong.append(f"{each.package.name} {each.package.version}: {error}")
            continue
        file = folder / each.path
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != each.digest:
            wrong.append(each.shown())
        else:
            tasks[Task(folder, each.path, each.kind)] = each
    return tasks, wrong


def _lines(document: Document, outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.state} {outcome.seconds:.1f} s, {outcome.operations} operations: {document.shown()}"
    yield from (f"  {rule}: {words}" for rule, words in outcome.why)
    yield from (f"  loss {each.code}: {each.place} {each.detail}" for each in outcome.losses)


def good(outcomes: Sequence[Outcome]) -> bool:
    """Whether enough drafts pass and none took too long."""
    states = Counter(each.state for each in outcomes)
    return states["passed"] >= LEAST_PASSED * sum(states[each] for each in DRAFTED) and not states["slow"]


def summary(outcomes: Sequence[tuple[Document, Outcome]]) -> Iterator[str]:
    """The numbers for each kind of document: outcomes, reasons, losses, the slowest."""
    for kind in listed.KINDS:
        of_kind = [(document, outcome) for document, outcome in outcomes if document.kind == kind]
        states = Counter(outcome.state for _, outcome in of_kind)
        packages = len({document.package.name for document, _ in of_kind})
        counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
        yield f"{kind}: {len(of_kind)} documents of {packages} packages: {counted}"
        reasons: dict[str, Counter[str]] = defaultdict(Counter)
        losses: Counter[str] = Counter()
        documents: Counter[str] = Counter()
        for _, outcome in of_kind:
            for rule in {rule for rule, _ in outcome.why}:
                reasons[outcome.state][rule] += 1
            losses.update(each.code for each in outcome.losses)
            documents.update({each.code for each in outcome.losses})
        for state, rules in reasons.items():
            yield f"  {state}: " + ", ".join(f"{rule} {count}" for rule, count in rules.most_common())
        yield "  losses: " + ", ".join(
            f"{code} {count} in {documents[code]} documents" for code, count in losses.most_common()
        )
        slowest = sorted(of_kind, key=lambda each: -each[1].seconds)[:3]
        yield "  slowest: " + "; ".join(f"{outcome.seconds:.1f} s {document.shown()}" for document, outcome in slowest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

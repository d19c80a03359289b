"""Leaves out the findings of a provider's answer at fields that the caller's grants hide.

A finding has no value, but it has the length and the kind of one.
Invariant: a caller who does not see all of an answer gets no finding at a place that its contract does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from adapters.errors import PROVIDER_BAD_ANSWER
from contracts.base.errors import BRANCHES, Failure
from contracts.compiled.contract import CompiledContract

Sees = Callable[[str], bool]
_INDEX: Final = re.compile(r"\[[0-9]*\]")


def shown(contract: CompiledContract | None, operation: str, views: Sequence[Sequence[str]]) -> Sees:
    """Whether these lists of fields show what is at a canonical path of the answer, or something below it."""
    known = contract.contract.operations.get(operation) if contract is not None else None
    leaves = contract.leaves(known.answer, *views) if contract is not None and known is not None else []
    if leaves and all(leaf.shown for leaf in leaves):
        return lambda path: True
    seen: set[str] = set()
    for leaf in leaves:
        names = _INDEX.sub("", leaf.path).split(".") if leaf.shown else []
        seen.update(".".join(names[:end]) for end in range(1, len(names) + 1))
    return lambda path: _INDEX.sub("", path) in seen


def told(failure: Failure, sees: Sees) -> Failure:
    """The failure as its caller gets it."""
    left = [each for each in failure.findings if sees(each.canonical)]
    if failure.type is not PROVIDER_BAD_ANSWER or len(left) == len(failure.findings):
        return failure
    return BRANCHES[failure.branch](failure.type, findings=left, retry_after=failure.retry_after, **failure.facts)


def without_hidden(failed: Mapping[str, Any], sees: Sees) -> Mapping[str, Any]:
    """The same of a failed try, as the log keeps it."""
    if failed.get("failure") != PROVIDER_BAD_ANSWER.code or "findings" not in failed:
        return failed
    return {**failed, "findings": [each for each in failed["findings"] if sees(each.get("canonical", ""))]}

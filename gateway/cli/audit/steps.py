"""The steps of a transfer in full sentences, in the language that `LGSP_LANG` names, else in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.common.language import spoken

if TYPE_CHECKING:
    from gateway.audit.search.journey import Step

_INDENT: Final = "           "


def sentences(step: Step) -> Iterator[str]:
    """What the entry says, why, and what was wrong."""
    from gateway.audit.search import steps

    for each in steps.sentences(step):
        yield from spoken(each, _INDENT)


def findings(kept: Mapping[str, Any]) -> Iterator[str]:
    """The kept findings of an entry, or of the facts of a note."""
    from gateway.audit.search import steps

    for each in steps.findings(kept):
        yield from spoken(each, _INDENT)

"""Lists the kinds of endpoint: the ways in which a component system is called, and the drop folder.

A new kind is one module with its adapter, and its declaration here. Registry documents, the forwarder, the rules for
fields that a request must show, and the status read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.model import AdapterKind, MakeAdapter, Option
from contracts.wire import soap as envelopes


def _rest() -> MakeAdapter:
    from adapters import rest

    return rest.make


def _soap() -> MakeAdapter:
    from adapters import soap

    return soap.make


# Messages a second that the queue sends to the system at most.
RATE: Final = Option("rate", ("100", "1", "2", "5", "10", "20", "50", "200", "500"))
FILES: Final = AdapterKind("files", None)  # the system drops files into its folder
_ALL: Final = (
    AdapterKind("rest", _rest, query=True, options=(RATE,)),
    AdapterKind(
        "soap",
        _soap,
        options=(
            Option("version", tuple(each.number for each in envelopes.VERSIONS.values())),
            Option("attachments", ("inline", "mtom")),  # how large contents are sent
        ),
    ),
    FILES,
)
KINDS: Final[Mapping[str, AdapterKind]] = {kind.name: kind for kind in _ALL}

"""Lists the kinds of adapter: how a component system is called.

To add a kind, write one module with an `AdapterKind` and add it here. The registry's documents and rows, the forwarder and the
status page read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters import rest, soap
from adapters.model import AdapterKind

KINDS: Final[Mapping[str, AdapterKind]] = {kind.name: kind for kind in (rest.KIND, soap.KIND)}

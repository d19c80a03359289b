"""Lists the kinds of adapter: the ways in which a component system is called.

A new kind is one module with an `AdapterKind`, and its entry here. Registry documents and the forwarder read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters import rest, soap
from adapters.model import AdapterKind

KINDS: Final[Mapping[str, AdapterKind]] = {kind.name: kind for kind in (rest.KIND, soap.KIND)}

"""Imports the parts of connexion 3.3 that serve the gateway's own APIs, without its warning and what we do not use.

`import connexion` loads Starlette's test client (which warns about httpx), httpx's command line with rich and pygments,
and requests, with which it would fetch schemas from the web. Placeholders stand in their place during the import; they
save about 6 MiB in each door.
Invariant: no document of `openapi/` refers to the web (a test), so the placeholder of requests is never called.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Final

_PLACEHOLDERS: Final = {name: ModuleType(name) for name in ("httpx._main", "requests") if name not in sys.modules}
for _module in _PLACEHOLDERS.values():
    _module.main = lambda: None  # type: ignore[attr-defined]  # httpx exports it
sys.modules.update(_PLACEHOLDERS)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from connexion import ConnexionMiddleware
    from connexion.exceptions import ProblemException
    from connexion.middleware.request_validation import RequestValidationMiddleware
    from connexion.middleware.routing import RoutingMiddleware
    from connexion.middleware.security import SecurityMiddleware
    from connexion.resolver import Resolver

for _name in _PLACEHOLDERS:
    del sys.modules[_name]

__all__ = [
    "ConnexionMiddleware",
    "ProblemException",
    "RequestValidationMiddleware",
    "Resolver",
    "RoutingMiddleware",
    "SecurityMiddleware",
]

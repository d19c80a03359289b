"""Imports the parts of connexion 3.3 that serve the gateway's own APIs, without its warning and what we do not use.

`import connexion` loads Starlette's test client with httpx, rich and pygments; requests, with which it would fetch
schemas from the web; and Jinja for templates of documents and pages. Placeholders stand in their place during the
import; they save about 10 MiB in each door.
Invariant: no document of `openapi/` refers to the web (a test), documents are handed over as values, and no server is
    asked about a token. So no placeholder is ever called.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Final

# Module -> the name that is imported from it.
_UNUSED: Final = {
    "httpx": "AsyncClient",
    "jinja2": "Template",
    "requests": "get",
    "starlette.templating": "Jinja2Templates",
    "starlette.testclient": "TestClient",
}
_PLACEHOLDERS: Final = {name: ModuleType(name) for name in _UNUSED if name not in sys.modules}
for _name, _module in _PLACEHOLDERS.items():
    setattr(_module, _UNUSED[_name], lambda: None)
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

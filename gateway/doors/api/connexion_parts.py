"""Imports the parts of connexion 3.3 that serve the gateway's own APIs, without its warning and what we do not use.

`import connexion` loads Starlette's test client with httpx, rich and pygments; requests, with which it would fetch
schemas from the web; Jinja for templates of documents and pages; and Werkzeug for the requests of WSGI. Placeholders
stand in their place during the import; they save about 12 MiB in each door.
Invariant: no document of `openapi/` refers to the web (a test), documents are handed over as values, no server is
    asked about a token, and no handler is called by connexion. So no placeholder is ever called by a request.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

from gateway.doors.http.placeholders import unloaded

# Module -> the name that is imported from it.
_UNUSED: Final = {
    "httpx": "AsyncClient",
    "jinja2": "Template",
    "requests": "get",
    "starlette.templating": "Jinja2Templates",
    "starlette.testclient": "TestClient",
    "werkzeug": "Request",
    "werkzeug.local": "LocalProxy",
}

with unloaded(_UNUSED), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from connexion import ConnexionMiddleware
    from connexion.exceptions import ProblemException
    from connexion.middleware.main import API
    from connexion.middleware.request_validation import RequestValidationMiddleware
    from connexion.middleware.routing import RoutingMiddleware
    from connexion.middleware.security import SecurityMiddleware
    from connexion.resolver import Resolver
    from connexion.spec import OpenAPISpecification


class OwnDocument(OpenAPISpecification):  # type: ignore[misc]
    """A document of `openapi/`. The tests compare each with the schema of OpenAPI: each start of a door would do so
    anew, for a tenth of a second.
    """

    @classmethod
    def _validate_spec(cls, spec: dict[str, Any]) -> None:
        pass


__all__ = [
    "API",
    "ConnexionMiddleware",
    "OwnDocument",
    "ProblemException",
    "RequestValidationMiddleware",
    "Resolver",
    "RoutingMiddleware",
    "SecurityMiddleware",
]

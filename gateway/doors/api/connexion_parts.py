"""Imports the parts of connexion 3.3 that serve the gateway's own APIs, without its warning.

`import connexion` loads its application classes and Starlette's test client, which warns about httpx.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from connexion import ConnexionMiddleware
    from connexion.exceptions import ProblemException
    from connexion.middleware.request_validation import RequestValidationMiddleware
    from connexion.middleware.routing import RoutingMiddleware
    from connexion.middleware.security import SecurityMiddleware
    from connexion.resolver import Resolver

__all__ = [
    "ConnexionMiddleware",
    "ProblemException",
    "RequestValidationMiddleware",
    "Resolver",
    "RoutingMiddleware",
    "SecurityMiddleware",
]

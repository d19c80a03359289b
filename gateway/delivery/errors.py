"""Errors of delivery. `adapters.errors` has those of the provider."""

from __future__ import annotations

from adapters.errors import ProviderFailure
from contracts.base.errors import Errors

_errors = Errors(__file__)

DELIVERY_FAULT = _errors.of(ProviderFailure, "delivery.fault", 500)
DELIVERY_GIVEN_UP = _errors.ours("delivery.given-up", 502)
PROVIDER_NO_ENDPOINT = _errors.of(ProviderFailure, "provider.no-endpoint", 502)
PROVIDER_NO_FORMAT = _errors.of(ProviderFailure, "provider.no-format", 502)
PROVIDER_NO_OPERATION = _errors.of(ProviderFailure, "provider.no-operation", 502)
PROVIDER_RESTING = _errors.of(ProviderFailure, "provider.resting", 503)

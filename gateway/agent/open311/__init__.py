"""Serves Open311 GeoReport v2 at the agent: citizens' reports become field-report/v1, their status comes back.

The standard: https://wiki.open311.org/GeoReport_v2. Only the encoding is the agent's work: a form becomes the JSON of
the contract, whose names are GeoReport's own. The gateway checks, routes and logs the report as any other.
"""

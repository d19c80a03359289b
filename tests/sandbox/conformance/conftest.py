"""The sandbox of the simulation's tests: its simulated systems are the good ones."""

from __future__ import annotations

from tests.sandbox.simulation.conftest import simulated

__all__ = ["simulated"]

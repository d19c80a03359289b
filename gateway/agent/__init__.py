"""The agent: signs, encrypts, verifies and queues for a component system that cannot (docs/agent.md).

It runs beside the system, on Linux or Windows, and is installed alone: of the house it knows `contracts/`, `security/` and `gateway/client/` only.
Invariants: it never translates; nothing unproven is handed to the system; a submission that it acknowledged is kept until it is delivered or named dead.
"""

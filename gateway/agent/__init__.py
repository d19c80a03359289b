"""The agent: signs, encrypts, verifies and queues for a component system that cannot (docs/agent.md).

It runs beside the system, on Linux or Windows. Of this project it imports only `contracts/`, `security/` and
`gateway/client/`, so it can be installed alone.
Invariant: it never translates; `open311/` only turns forms into the JSON of the same names.
Invariant: no unproven content reaches the system.
Invariant: an acknowledged submission is kept until it is delivered or declared dead.
"""

"""The outside of the gateway: the demo's story, altered messages, an onboarding, clients in other languages.

Invariant: this imports nothing of ours except `gateway.sample_client` and the stand-ins, which follow `docs/wire.md`
alone. A misreading of that page cannot hide on both sides.
"""

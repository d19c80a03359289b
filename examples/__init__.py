"""What a vendor of component systems would write: clients, stand-in systems, realistic messages.

Written from `docs/wire.md` alone. Invariant: nothing in here imports `gateway`, `security`, `contracts` or `adapters`,
so that a mistake in reading the wire profile cannot hide on both sides.
"""

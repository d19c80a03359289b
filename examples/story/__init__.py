"""The story of the gateway, told from outside: real messages cross it end to end, and what must be refused is refused.

It uses the clients of `gateway.sample_client` and nothing of the gateway: what it sees is what a component system sees.
`run(world, tell)` tells one step after the other and stops at none, so that one look shows all that does not hold.
"""

from examples.story.run import Step, run
from examples.story.world import World

__all__ = ["Step", "World", "run"]

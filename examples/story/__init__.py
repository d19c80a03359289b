"""The story of the demo: real messages pass the gateway end to end, and forbidden ones are refused.

It uses the clients of `gateway.sample_client`, so it sees what a component system sees.
`run(world, tell)` runs all steps. A failing step does not stop the next.
"""

from examples.story.run import Step, run
from examples.story.world import World

__all__ = ["Step", "World", "run"]

"""A stand-in of a component system, made from any contract: it is called, and it calls."""

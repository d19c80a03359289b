"""Somebody who has nothing of the gateway but a package of evidence, and checks it."""

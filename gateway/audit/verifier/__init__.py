"""The independent evidence verifier: checks a package of evidence without the gateway."""

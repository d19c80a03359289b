"""Whether a system keeps a contract and the wire profile: suites made from the contract, runners, reports."""

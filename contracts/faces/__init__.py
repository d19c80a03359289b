"""Generates XSD, WSDL, OpenAPI, schema and page from a compiled contract.

Invariant: the same contract gives the same bytes.
"""

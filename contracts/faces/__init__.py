"""Faces made from a compiled contract: XSD, WSDL, OpenAPI, schema, page. Deterministic: the same contract gives the same bytes."""

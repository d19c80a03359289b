"""Drafts of contract folders from foreign files: WSDL 1.1 with XML Schema 1.0, OpenAPI 3.0 and 3.1, CSV and XLSX."""

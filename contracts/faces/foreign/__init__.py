"""The faces of foreign formats: shapes, XSD, JSON Schema, and where faces differ from the decoder."""

"""The canonical model: types, the profile of JSON Schema, validation."""

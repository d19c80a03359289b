"""Codecs between the formats of component systems and canonical values."""

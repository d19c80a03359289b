"""Grants: who may do what, approved by whom, in which windows."""

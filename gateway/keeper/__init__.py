"""The leading keeper and its periodic tasks."""

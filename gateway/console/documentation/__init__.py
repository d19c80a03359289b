"""The documentation site below `/docs`, for everybody who reaches the listener for people, without a session."""

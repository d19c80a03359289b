"""Changes of the registry, each by one officer's command."""

"""What is HTTP of the doors."""

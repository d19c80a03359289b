"""The supervisor and the main function of each process."""

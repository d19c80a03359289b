"""How the messages of an operation are handled: a table of states and steps, and deadlines in working time."""

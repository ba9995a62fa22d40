"""How the programs of the project start, run beside each other and stop."""

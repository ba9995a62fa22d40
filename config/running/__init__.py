"""Starting, running and stopping the programs of the project."""

"""The Open University Learning Analytics Dataset: read its files and map them. Pure."""

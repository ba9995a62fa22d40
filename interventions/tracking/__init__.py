"""What providers and links say about sent messages, and what follows. Pure."""

"""When a message may go out, by consent, closed hours, frequency caps and delays. Pure."""

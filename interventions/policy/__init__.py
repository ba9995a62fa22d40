"""The rules for when a message may go out: consent, closed hours, frequency caps, delays. Pure."""

"""Importers of whole data sets, beside the event-by-event ingest. OULAD is here."""

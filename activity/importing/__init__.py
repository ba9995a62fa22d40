"""Importers of whole data sets, such as OULAD. They do not go through ingest."""

"""Customers and events from files: CSV, JSON Lines, Parquet. Nothing here prints, and most of it knows no database."""

"""Texts and phone numbers as values: nothing here needs a database."""

"""Engage measured against the limit of one scan and against its peers, in one command: ``make bench``."""

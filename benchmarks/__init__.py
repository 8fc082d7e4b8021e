"""Measures Engage against one plain scan and against its peers: ``make bench``."""

"""Texts that a model drafts: the request, the answer, the checks, and the person who approves."""

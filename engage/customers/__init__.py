"""Customers: profile, suppression, erasure, replies."""

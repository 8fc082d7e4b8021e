"""Customers: profile, suppression, erasure, replies, and synthetic customers."""

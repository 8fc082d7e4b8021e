"""The customer: profile, suppression, erasure, replies."""

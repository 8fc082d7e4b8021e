"""What campaigns did, as data."""

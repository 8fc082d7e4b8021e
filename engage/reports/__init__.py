"""Reports on campaigns and customers, as data."""

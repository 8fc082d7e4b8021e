"""The database: its tables, connections, partitions and migrations, and bulk writes."""

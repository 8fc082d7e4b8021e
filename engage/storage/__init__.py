"""The database: its tables, connections, partitions and migrations, and fast ways to write rows."""

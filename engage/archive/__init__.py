"""The archive: ended windows of the raw logs as Parquet files, in a folder or an object store."""

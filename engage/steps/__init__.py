"""The steps of a campaign, one module per task of the DAG."""

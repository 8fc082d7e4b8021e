"""The local stack: Airflow, the HTTP service and an embedded Postgres on one machine, started together."""

"""One machine: Airflow, the HTTP service and an embedded Postgres, started together."""

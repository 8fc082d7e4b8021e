"""The pages that Engage shows inside Airflow's frame, as HTML. The plugin decides which users may see them."""

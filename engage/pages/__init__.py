"""The pages that Engage shows inside Airflow's frame, as HTML: what they say, and not who may see them."""

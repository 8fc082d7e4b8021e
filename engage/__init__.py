"""Engage: every 8 weeks, from app activity to a text message for the customers who deserve one.

Plain Python over Postgres; nothing in this package imports Airflow. Follow the data to find your way::

    app event → service → app_session, purchase, refund → steps.extract → steps.aggregate → customer_activity
        → steps.bucket → customer_bucket → steps.message → message (the ledger) → sending → reports
"""

__version__ = "0.1.0"

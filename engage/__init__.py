"""Engage: every 8 weeks, from app activity to a text message for the customers who deserve one.

Plain Python over Postgres; nothing in this package imports Airflow. Follow the data to find your way::

    app event → seed → app_session, purchase → extract → aggregate → customer_activity
        → bucket → customer_bucket → message → sms → message (the ledger) → report
"""

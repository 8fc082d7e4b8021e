"""Sums of events on Spark, over Parquet files, by the same definitions as in Postgres."""

from engage.spark.attempt import Attempt
from engage.spark.definition import Definition
from engage.spark.engine import Spark

__all__ = ["Attempt", "Definition", "Spark"]

"""The watchdog and the DAG's schedule agree on when a window's run starts."""

from engage.window import GRACE


def test_the_watchdog_knows_when_a_scheduled_run_starts(dag, serialized_dag):
    assert dag.timetable.grace == serialized_dag.timetable.grace == GRACE

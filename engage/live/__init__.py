"""The live window: the running window, computed each day by the steps' own queries, weeks ahead of its end.

Its numbers lie in tables of their own. So no message can come of it, whatever else runs beside it.
"""

from engage.live.compute import HOUR, LiveSummary, compute, compute_if_due

__all__ = ["HOUR", "LiveSummary", "compute", "compute_if_due"]

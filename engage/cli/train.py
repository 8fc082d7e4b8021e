"""``engage train``: learn the return score from past windows."""

from __future__ import annotations

from engage import formats
from engage.campaigns import return_training
from engage.campaigns.return_models import Trained
from engage.cli.common import AsJson, add_row, console, database, print_json, print_table, table_of
from engage.errors import NotReady
from engage.reports.return_score import ranking
from engage.return_score.features import FEATURES
from engage.storage.database_clock import DatabaseClock


def train(as_json: AsJson = False) -> None:
    """Learn from past windows which customers buy in the next one, as the DAG engage_maintenance does.

    Campaigns use the return score only if it ranks the customers of later windows better than their spend does.
    """
    with database() as engine:
        done = return_training.train(engine, as_of=DatabaseClock(engine)())
    if done is None:
        raise NotReady(return_training.NOTHING)
    if as_json:
        found = done.trained
        print_json({"model_id": found.model_id, "trained_at": found.trained_at, **found.model.to_columns()})
        return
    _print(done.trained, new=done.new)


def _print(found: Trained, *, new: bool) -> None:
    model = found.model
    console.print(
        f"Learnt from {formats.counted(model.customers, 'customer')} of {formats.counted(model.windows, 'window')}, of "
        f"whom {formats.number(model.returns)} bought in the next window. A customer counts once in each window."
    )
    if not new:
        console.print(f"The training of {formats.moment(found.trained_at)} learnt the same, and stays.")
    console.print(f"{'In use' if model.verdict.in_use else 'Not in use'}: {model.verdict.why}")
    if words := ranking(model.evaluation):
        console.print(words)
    if model.terms:
        table = table_of("Feature", "Coefficient", "Standard error", title="What raises the score, and what lowers it")
        for one in model.coefficients:
            add_row(table, FEATURES[one.feature].label, formats.number(one.value, 3), formats.number(one.error, 3))
        print_table(table)

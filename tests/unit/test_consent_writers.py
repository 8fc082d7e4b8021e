"""A consent changes only together with the consent record."""

from __future__ import annotations

import ast

from tests.unit.test_architecture import FILES, ROOT, dotted

SETS_CONSENT = {
    "engage/customers/profile.py": "appends each change",
    "engage/customers/synthetic.py": "customers of a seed have no record",
}
READS_CONSENT = {
    "engage/service/customer_models.py": "a request",
    "engage/imports/customer_rows.py": "the fields of a file",
    "engage/imports/customer_values.py": "the values of a row",
}
WRITES_CUSTOMERS = {
    "engage/customers/profile.py": "appends each change",
    "engage/imports/customer_write.py": "appends each change of a file",
}
SUPPRESSES = {"suppress", "allow_again", "lift_revocation", "take_over"}
DROPS = {"engage/customers/erasure.py": "appends the erasure itself, with the rows that it has blanked"}


def sets_consent(tree):
    """Whether a file gives a value to the column consent_at, or names it to a COPY."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "consent_at":
            yield node.lineno
        elif isinstance(node, ast.Dict):
            yield from (key.lineno for key in node.keys if isinstance(key, ast.Constant) and key.value == "consent_at")


def writes_customers(tree):
    """Whether a file has a statement that inserts or updates customers."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    for call in calls:
        statement, table = (dotted(node).rpartition(".")[2] for node in (call.func, call.args[0]))
        if statement in {"insert", "update"} and table == "customer":
            yield call.lineno


def dropped(tree):
    """Calls of a function of suppressions whose changes go nowhere."""
    bare = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    return [name for call in bare if (name := dotted(call.func)).rpartition(".")[2] in SUPPRESSES]


def test_no_other_statement_sets_a_customers_consent():
    files = FILES | {
        str(file.relative_to(ROOT)): ast.parse(file.read_text())
        for folder in ("plugins", "dags")
        for file in ROOT.glob(f"{folder}/*.py")
    }
    assert {name for name, tree in files.items() if any(sets_consent(tree))} == {*SETS_CONSENT, *READS_CONSENT}


def test_no_other_file_inserts_or_updates_customers():
    assert {name for name, tree in FILES.items() if any(writes_customers(tree))} == set(WRITES_CUSTOMERS)


def test_every_change_of_a_suppression_goes_to_the_record():
    assert {name for name, tree in FILES.items() if dropped(tree)} == set(DROPS)


def test_a_breach_would_be_noticed():
    assert list(sets_consent(ast.parse("sa.update(customer).values(consent_at=now)")))
    assert list(sets_consent(ast.parse("row = {'consent_at': now}")))
    assert list(writes_customers(ast.parse("conn.execute(sa.update(customer).values(values))")))
    assert list(writes_customers(ast.parse("insert(schema.customer).from_select(columns, rows)")))
    assert list(dropped(ast.parse("suppression.suppress(conn, hashed)")))
    assert not (dropped(ast.parse("changes += suppression.suppress(conn, hashed)")))

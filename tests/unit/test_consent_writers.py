"""A consent changes only together with the consent record."""

from __future__ import annotations

import ast

from tests.unit.test_architecture import FILES, ROOT, dotted

SETS_CONSENT = {
    "engage/customers/profile.py": "appends each change",
    "engage/customers/synthetic.py": "customers of a seed have no record",
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
    allowed = {*SETS_CONSENT, "engage/service/customer_models.py"}  # the request's profile, which profile.put takes
    assert {name for name, tree in files.items() if any(sets_consent(tree))} == allowed


def test_every_change_of_a_suppression_goes_to_the_record():
    assert {name for name, tree in FILES.items() if dropped(tree)} == set(DROPS)


def test_a_breach_would_be_noticed():
    assert list(sets_consent(ast.parse("sa.update(customer).values(consent_at=now)")))
    assert list(sets_consent(ast.parse("row = {'consent_at': now}")))
    assert list(dropped(ast.parse("suppression.suppress(conn, hashed)")))
    assert not (dropped(ast.parse("changes += suppression.suppress(conn, hashed)")))

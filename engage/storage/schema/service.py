"""The tables of the installation itself: keys of the HTTP service, and alerts to the operators."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from engage.statuses import AlertKind, ApiScope
from engage.storage.schema.columns import metadata, moment, one_of

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True, comment="the public part of the key"),
    sa.Column("name", sa.Text, nullable=False, comment="the client that uses it"),
    sa.Column("owner", sa.Text, nullable=False, comment="the client; all keys of one owner share its idempotency keys"),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False, comment="SHA-256 of the whole key"),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("requests_per_second", sa.Integer, nullable=False, comment="rate limit; 0 is none"),
    moment("created_at", nullable=False),
    moment("revoked_at"),
    moment("expires_at", comment="from then on it is refused; null is never"),
    sa.CheckConstraint(f"scopes <@ ARRAY{[scope.value for scope in ApiScope]!r}", name="scopes"),
    comment="One row per key of the HTTP service, revoked ones included.",
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("alert_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    moment("window_start"),
    sa.Column("detail", JSONB, nullable=False, comment="what its text needs; holds no customer data"),
    sa.Column("link", sa.Text, comment="the log of the task, if a task raised it"),
    sa.Column("incident", sa.Text, comment="names the incident; a second alert of it is not raised"),
    moment("raised_at", nullable=False),
    moment("mailed_at"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_error", sa.Text, comment="the kind of error of the last attempt to mail it"),
    sa.UniqueConstraint("incident", name="alert_incident_key"),
    one_of("kind", AlertKind),
    comment="The outbox of alerts to the operators. One row per alert, written with the fact that it reports.",
)

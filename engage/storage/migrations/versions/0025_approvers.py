"""Who triggered a campaign's run, when it took its settings, which approvers were checked, and why a list was rejected.

Campaigns of earlier versions have no names: engage_approvers was not a setting, so no approver was excluded.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "campaign", sa.Column("triggered_by", sa.Text, comment="who triggered run_id; null for the scheduler")
    )
    op.add_column(
        "campaign",
        sa.Column("settings_at", sa.DateTime(timezone=True), comment="when its run read the settings"),
    )
    op.add_column(
        "campaign",
        sa.Column(
            "approval_checked",
            JSONB,
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="users who passed the check of approvers, each with the time at which the list was made",
        ),
    )
    op.add_column("campaign", sa.Column("approval_reason", sa.Text, comment="why the approver rejected the list"))


def downgrade() -> None:
    for name in ("triggered_by", "settings_at", "approval_checked", "approval_reason"):
        op.drop_column("campaign", name)

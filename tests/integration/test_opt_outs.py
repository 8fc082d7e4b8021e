"""Opt-outs after a campaign, in the app and by text."""

from datetime import timedelta

import pytest

from engage.campaigns import message_counts
from engage.customers import profile, suppression
from engage.reports import opt_outs
from engage.statuses import SuppressionReason
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY

HOUR = timedelta(hours=1)


@pytest.fixture
def texted(world):
    """A campaign that has texted four customers; a fifth was not texted."""
    for _ in range(4):
        world.sessions(world.customer())
    world.customer(phone=None)
    world.computed()
    world.message()
    return world


def begun(world):
    with world.engine.connect() as conn:
        return message_counts.of(conn, world.window).first_claim_at


def opted_out(world):
    with world.engine.connect() as conn:
        return opt_outs.of_texted(conn, world.window, begun(world))


def leave(world, customer_id, at):
    with world.engine.begin() as conn:
        profile.opt_out(conn, customer_id, as_of=at)


def stop(world, customer_id, at, reason=SuppressionReason.STOP):
    with world.engine.begin() as conn:
        hashed = phone_hash(f"+999{customer_id:09}", KEY)
        suppression.suppress(conn, hashed, reason=reason, source="a test", as_of=at)


def test_a_customer_counts_once_who_opts_out_in_the_app_and_by_text(texted):
    assert opted_out(texted) == 0
    later = texted.now + HOUR
    leave(texted, 1, later)
    stop(texted, 1, later)
    stop(texted, 2, later, SuppressionReason.REVOCATION)
    assert opted_out(texted) == 2


def test_an_opt_out_before_the_message_or_without_one_does_not_count(texted):
    leave(texted, 1, texted.now - HOUR)
    stop(texted, 2, texted.now - HOUR)
    leave(texted, 5, texted.now + HOUR)
    stop(texted, 3, texted.now + HOUR, SuppressionReason.DEAD_NUMBER)
    assert opted_out(texted) == 0


def test_an_opt_out_belongs_to_the_last_campaign_before_it(texted, in_window):
    after = in_window(texted.window.next())
    after.sessions(1)
    after.computed(min_days_between_messages="0")
    after.message()
    leave(texted, 1, texted.now + HOUR)
    leave(texted, 2, after.now + HOUR)
    assert (opted_out(texted), opted_out(after)) == (1, 1)


def test_all_opt_outs_are_counted_by_the_time_between_campaigns(texted):
    moments = [texted.now, texted.now + 2 * HOUR]
    leave(texted, 5, texted.now - HOUR)
    leave(texted, 1, texted.now)
    stop(texted, 2, texted.now + HOUR)
    leave(texted, 3, texted.now + 2 * HOUR)
    stop(texted, 4, texted.now + HOUR, SuppressionReason.DEAD_NUMBER)
    with texted.engine.connect() as conn:
        assert opt_outs.between(conn, moments) == [2, 1]
        assert opt_outs.between(conn, moments[1:]) == [1]
        assert opt_outs.between(conn, []) == []

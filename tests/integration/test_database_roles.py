"""The server's database roles: what the pages and the service may do, and that it is enough for them."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.customers import erasure, exclusion, profile
from engage.drafts import message_texts, proposals
from engage.drafts.propose import propose
from engage.pages import segment_drafts, segments_page
from engage.pages.activity_page import Wanted, activity_page
from engage.pages.approval_page import approval_page
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_progress import progress
from engage.pages.campaign_report import campaign_report
from engage.pages.csv_download import counts_csv, messages_csv
from engage.pages.customer_page import customer_page, results
from engage.pages.messages_page import message_page, messages_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports.message_list import Filters
from engage.sending import ledger, providers, queue, test_requests, test_sends
from engage.sending.delivery_health import ReceiptJudge
from engage.sending.providers.sandbox import SandboxProvider
from engage.sending.reconcile import reconcile
from engage.settings import Change, Settings, validate
from engage.statuses import AlertKind, ProviderFact
from engage.storage import database_roles, migrations, partitions, schema
from engage.storage.database_errors import sqlstate
from engage.storage.schema import LOG_TIMES, app_session
from engage.window import Window
from tests.integration.conftest import KEY
from tests.integration.service import session
from tests.llm_double import OFFER, TEXTS
from tests.phones import fictional_phone

INSUFFICIENT_PRIVILEGE = "42501"
DDL = [
    "CREATE TABLE other (a int)",
    "CREATE TABLE other PARTITION OF message FOR VALUES IN ('2030-01-01')",
    "ALTER TABLE message ADD COLUMN other int",
    "ALTER TABLE message DISABLE TRIGGER ALL",
    "DROP TABLE app_session",
    "TRUNCATE intake_batch",
    "CREATE INDEX ON customer (name)",
]


@pytest.fixture
def connected(url, opened):
    """Gives an engine for a role."""
    return lambda role: opened(sa.make_url(url).set(username=role))


@pytest.fixture
def pages(connected):
    return connected(database_roles.PAGES)


@pytest.fixture
def service(connected):
    return connected(database_roles.SERVICE)


def refused(engine, statement):
    with pytest.raises(sa.exc.ProgrammingError) as caught, engine.begin() as conn:
        conn.exec_driver_sql(statement)
    return sqlstate(caught.value) == INSUFFICIENT_PRIVILEGE


@pytest.fixture
def computed(world):
    """A campaign with the bucket of a customer."""
    world.sessions(world.customer())
    world.computed()


@pytest.fixture
def sent(world):
    """Two windows with campaigns, each computed twice, so that steps have swapped their partitions."""
    world.purchase(world.customer(), 100)
    world.sessions(world.customer(phone=None), 3)
    for _ in range(2):
        world.computed()
    world.message()
    return world


def waiting(world):
    """Compute the campaign again, as no message of it was sent, up to the queue."""
    world.execute(sa.text("UPDATE campaign SET frozen_at = null"))
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)


def test_the_pages_show_everything_after_a_step_has_swapped_its_partitions(sent, pages):
    viewer = Viewer(may_change_runs=True, may_set_segments=True)
    campaigns = campaign_list(pages, viewer, Settings(), as_of=sent.now)
    assert "Sent" in campaigns
    assert "1 accepted" in campaigns
    assert "BOOST" in campaign_report(pages, viewer, sent.window)
    sent.execute(sa.text("UPDATE campaign SET distribution = NULL"))
    assert "BOOST" in campaign_report(pages, viewer, sent.window)
    assert sent.value("SELECT distribution FROM campaign") is not None
    assert "Opted out since" in progress(pages, sent.window)
    assert "The list of" in approval_page(pages, viewer, sent.window, as_of=sent.now)
    assert b"BOOST" in counts_csv(pages, sent.window).encode()
    editor, draft = Editor(readable=Settings.model_fields), [Change("low_spend_threshold", "2", None)]
    assert "BOOST" in segments_page.segments_page(pages, viewer, editor, sent.window)
    assert segments_page.counts(pages, editor, sent.window, draft)["may_save"]
    assert "BOOST" in segments_page.texted(pages, editor, sent.window, draft, sent.now)["by_segment"]
    assert (
        "STOP"
        in segments_page.read_texts(pages, Viewer(), editor, sent.window, draft, customers={"BOOST": [1]})["BOOST"]
    )
    named = [Change("message_boost", "{{ favourite_item }}? Reply STOP to opt out.", None)]
    assert (
        "your favourite"
        in segments_page.read_texts(pages, Viewer(), editor, sent.window, named, customers={"BOOST": [1]})["BOOST"]
    )
    assert "BOOST" in customer_page(pages, Viewer(), "1", Settings(), as_of=sent.now)
    assert results(pages, "1", full_phone=False) == (1, "")
    assert results(pages, "0001", full_phone=False) == (1, "")
    assert "BOOST" in messages_page(pages, viewer, sent.window, Filters())
    assert "BOOST" in message_page(pages, viewer, sent.window, 1)
    assert "no_phone" in "".join(messages_csv(pages, sent.window, Filters(), phones=True))


@pytest.fixture
def unknown(sent):
    """A message of unknown outcome."""
    sent.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    sent.execute(sa.text("UPDATE message SET status = 'unknown', provider_message_id = NULL WHERE customer_id = 1"))
    sent.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))
    return sent


def test_the_pages_settle_a_message_of_unknown_outcome(unknown, pages):
    fact = ProviderFact.NUMBER_INVALID  # after which the phone is suppressed
    settled = ledger.Settlement("failed", "asked the provider", "ada", error_code=7, fact=fact)
    ledger.settle(pages, unknown.window, 1, settled, as_of=unknown.now)
    assert unknown.value("SELECT settled_by FROM message WHERE customer_id = 1") == "ada"
    assert unknown.value("SELECT reason FROM suppression") == "dead_number"


def test_the_pages_ask_the_provider_also_about_what_a_lost_sender_left(sent, pages):
    sent.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    sent.execute(sa.text("UPDATE message SET status = 'sending' WHERE customer_id = 1"))
    sent.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))
    later = sent.now + timedelta(hours=1)
    done = reconcile(pages, sent.window, lambda name: SandboxProvider(), as_of=later)
    assert done.not_found == 1
    assert sent.value("SELECT kind FROM alert") == AlertKind.MESSAGES_UNKNOWN


def test_the_pages_opt_a_customer_out_and_forget_one(sent, pages):
    with pages.begin() as conn:
        profile.opt_out(conn, 1, as_of=sent.now)
    assert sent.value("SELECT opted_out_at FROM customer WHERE customer_id = 1") == sent.now
    done = erasure.forget(pages, 1, as_of=sent.now)
    assert (done.known, done.events, done.messages) == (True, 1, 1)
    assert sent.value("SELECT reason FROM suppression") == "erasure"


def test_the_pages_exclude_a_customer_and_include_one_again_and_show_odd_customers(world, pages, now):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    with pages.begin() as conn:
        exclusion.exclude(conn, 1, reason="a bot", by="ada", as_of=now)
    assert "57 sessions" in campaign_report(pages, Viewer(), world.window)
    assert "excluded by an operator" in customer_page(pages, Viewer(), "1", Settings(), as_of=now)
    with pages.begin() as conn:
        assert exclusion.include(conn, 1)
        exclusion.exclude(conn, 1, reason="a bot", by="ada", as_of=now)
    erasure.forget(pages, 1, as_of=now)
    assert world.value("SELECT count(*) FROM odd_customer") == 0


def test_the_service_forgets_an_excluded_odd_customer(world, service, now):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    with world.engine.begin() as conn:
        exclusion.exclude(conn, 1, reason="a bot", by="ada", as_of=now)
    erasure.forget(service, 1, as_of=now)
    assert world.value("SELECT (SELECT count(*) FROM odd_customer) + (SELECT count(*) FROM customer_exclusion)") == 0


def test_the_pages_ask_for_a_test_message_and_see_it_and_a_task_sends_it(sent, pages):
    settings, wanted = validate({"test_phones": fictional_phone(7)}), UUID(int=7)
    text = test_requests.TextToTry("BOOST", "", "a", "Hi. Reply STOP.")
    with pages.begin() as conn:
        test_requests.request(conn, wanted, text, to=fictional_phone(7), by="ada", settings=settings, as_of=sent.now)
    test_sends.send(sent.engine, wanted, providers.provider, settings=settings, hash_key=KEY, clock=lambda: sent.now)
    with pages.begin() as conn:
        assert test_requests.find(conn, wanted, as_of=sent.now).status == "accepted"
    assert "to a phone for a test" in activity_page(pages, Viewer(), Wanted(), None, as_of=sent.now)


def test_the_pages_ask_for_texts_and_judge_them_and_a_task_asks_the_model(sent, pages, model):
    editor, chosen, wanted = Editor(readable=Settings.model_fields), Settings(), UUID(int=7)
    with pages.begin() as conn:
        wish = proposals.wish(chosen, "BOOST", offer=OFFER, language="", wanted=8)
        proposals.request(conn, wanted, wish, by="ada", as_of=sent.now)
    assert propose(sent.engine, wanted, model.endpoint, lambda: chosen, lambda: sent.now).status == "done"
    with pages.begin() as conn:
        found = segment_drafts.drafts_of(conn, editor, "BOOST", as_of=sent.now)
        assert (found["waiting"], message_texts.waiting(conn)) == (8, {"BOOST": 8})
        by = {"by": "ada", "as_of": sent.now}
        message_texts.edit(conn, 1, text=f"{TEXTS[0]} Soon.", was=TEXTS[0], settings=chosen, **by)
        message_texts.approve(conn, 1, was=f"{TEXTS[0]} Soon.", settings=chosen, **by)
        message_texts.approve(conn, 2, was=TEXTS[1], settings=chosen, **by)
        message_texts.reopen(conn, 2)
        message_texts.reject(conn, 3, **by)
    counts = "SELECT status, count(*) FROM message_text GROUP BY 1 ORDER BY 1"
    assert sent.rows(counts) == [("approved", 1), ("draft", 6), ("rejected", 1)]


def test_the_pages_halt_and_resume(sent, pages):
    waiting(sent)
    with pages.begin() as conn:
        assert campaign.halt(conn, sent.window, by="ada", why="a typo", as_of=sent.now)
    assert sent.value("SELECT halted_why FROM campaign") == "a typo"
    with pages.begin() as conn:
        campaign.resume(conn, sent.window, as_of=sent.now)
    assert sent.value("SELECT halted_at FROM campaign") is None


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    "statement",
    [
        *DDL,
        "UPDATE campaign SET frozen_at = null",
        "UPDATE campaign SET status = 'complete'",
        "DELETE FROM campaign",
        "UPDATE message SET bucket = 'BOOST'",
        "UPDATE message SET segments = 1",
        "UPDATE message SET sender_token = 9",
        "DELETE FROM message",
        "UPDATE customer SET customer_id = 9",
        "UPDATE customer SET synthetic = false",
        "INSERT INTO customer (customer_id, synthetic) VALUES (9, true)",
        "UPDATE alert SET mailed_at = now()",
        "DELETE FROM alert",
        "SELECT secret_hash FROM api_key",
        "SELECT answer FROM intake_batch",
        "UPDATE intake_batch SET accepted_at = now()",
        "DELETE FROM intake_batch",
        "SELECT text_class FROM inbound_sms",
        "SELECT started_at FROM app_session",
        "SELECT amount_cents FROM purchase",
        "UPDATE test_send SET status = 'accepted'",
        "UPDATE text_proposal SET status = 'done'",
        "DELETE FROM text_proposal",
        "INSERT INTO message_text (text) VALUES ('a text that no model has drafted')",
        "UPDATE message_text SET drafted = 'x'",
        "UPDATE message_text SET proposed_by = 'ada'",
        "DELETE FROM message_text",
        "UPDATE app_session SET customer_id = 9",
        "UPDATE purchase SET amount_cents = 0",
        "SELECT amount_cents FROM refund",
        "UPDATE refund SET amount_cents = 0",
        "UPDATE event_id SET accepted_at = now()",
        "DELETE FROM event_id",
        "DELETE FROM consent_event",
        "UPDATE consent_event SET state = 'given'",
        "UPDATE campaign SET guard = NULL",
        "UPDATE daily_volume SET events = 0",
        "UPDATE customer_exclusion SET excluded_by = 'ben'",
        "UPDATE odd_customer SET value = 1",
    ],
)
def test_the_pages_can_do_nothing_else(pages, statement):
    assert refused(pages, statement)


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    "statement",
    [
        *DDL,
        "UPDATE campaign SET status = 'complete'",
        "INSERT INTO api_key (key_id) VALUES ('x')",
        "UPDATE api_key SET revoked_at = null",
        "DELETE FROM message",
        "INSERT INTO message (customer_id) VALUES (1)",
        "UPDATE customer_bucket SET bucket = 'BOOST'",
        "UPDATE app_session SET customer_id = 1",
        "DELETE FROM intake_batch",
        "UPDATE alert SET mailed_at = null",
        "INSERT INTO explained_day VALUES ('2026-09-22', 'all', 'x', 'x', now())",
        "SELECT 1 FROM daily_volume",
        "SELECT reason FROM customer_exclusion",
        "INSERT INTO customer_exclusion (customer_id) VALUES (1)",
    ],
)
def test_the_service_cannot_change_a_table_or_make_itself_a_key(service, statement):
    assert refused(service, statement)


def test_the_service_halts_a_campaign_by_its_receipts(sent, service, now):
    sent.execute(sa.text("UPDATE campaign SET status = 'sending'"))
    with service.begin() as conn:
        assert campaign.halt(conn, sent.window, by=campaign.ITSELF, why="receipts", as_of=now)
        alert_outbox.put(conn, AlertKind.CAMPAIGN_HALTED, window=sent.window, as_of=now, why="receipts")
    ReceiptJudge(service).judge(sent.window, now)
    assert sent.value("SELECT count(*) FROM alert WHERE kind = 'campaign_halted'") == 1


def test_a_killed_task_is_reported_by_the_role_for_alerts(world, connected):
    """Airflow's DAG processor calls a killed task's callback, outside the container that runs tasks."""
    alerts = connected(database_roles.ALERTS)
    with alerts.begin() as conn:
        alert_outbox.put(conn, AlertKind.TASK_FAILED, as_of=world.now, incident="x", dag="d", task="t", reason="r")
    mails = []
    assert alert_outbox.deliver(alerts, mails.append, lambda: world.now) == 1
    assert len(mails) == 1
    for statement in (*DDL, "SELECT 1 FROM customer", "UPDATE campaign SET halted_at = null", "DELETE FROM alert"):
        assert refused(alerts, statement)


def test_events_of_a_window_without_partitions_wait_in_default_for_the_owner(api, world):
    """The service cannot make partitions, and need not: the hourly maintenance does."""
    ahead = Window.containing(world.now)
    with world.engine.begin() as conn:
        for log in LOG_TIMES:
            partitions.drop_events(conn, log, ahead)
    at = world.now - timedelta(minutes=1)
    assert api.send(session(4711, at.isoformat())).json() == {"accepted": 1, "rejected": []}
    in_default = sa.select(sa.func.count()).select_from(partitions.default_of(app_session))
    assert world.value(in_default) == 1
    partitions.ensure(world.engine, world.now)
    assert world.value(in_default) == 0
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id = 4711") == 1


def test_an_upgrade_grants_what_is_missing_and_takes_what_is_too_much(sent, pages, service, now):
    sent.execute(sa.text("GRANT SELECT ON api_key TO engage_pages"))
    sent.execute(sa.text("GRANT UPDATE (status) ON campaign TO engage_pages"))
    sent.execute(sa.text("REVOKE ALL ON message FROM engage_pages"))
    sent.execute(
        sa.text(f"REVOKE ALL ON {partitions.partition_name(schema.customer_bucket, sent.window)} FROM engage_pages")
    )
    assert migrations.upgrade(sent.engine, now) == ["engage_alerts", "engage_pages", "engage_service"]
    assert refused(pages, "SELECT 1 FROM api_key")
    assert refused(pages, "UPDATE campaign SET status = 'complete'")
    assert "BOOST" in segments_page.segments_page(pages, Viewer(), Editor(), sent.window)


def test_both_roles_see_which_version_the_schema_has(pages, service):
    migrations.require_current(pages)
    migrations.require_current(service)


def test_pages_and_service_note_whom_the_archive_must_forget_and_see_none(world, archiving, pages, service, now):
    archiving.fill(3)
    archiving.write()
    for engine, customer_id in ((pages, 1), (service, 2)):
        assert erasure.forget(engine, customer_id, as_of=now).archive_waits
        assert refused(engine, "SELECT customer_id FROM archive_erasure")
        assert refused(engine, "DELETE FROM archive_erasure")
        assert refused(engine, "UPDATE archived_log SET dropped_at = archived_at")
    assert world.rows("SELECT customer_id FROM archive_erasure ORDER BY 1") == [(1,), (2,)]

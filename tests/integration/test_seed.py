import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers.synthetic import Behaviour
from engage.errors import InputError, SeedRefused
from engage.steps.seed import seed
from engage.storage import partitions

KEY = b"k" * 32
TABLES = ("customer", "app_session", "purchase")


@pytest.fixture
def template():
    return "installed"


def run(world, customers=300, rng_seed=7, **options):
    return seed(world.engine, world.window, customers, rng_seed, hash_key=KEY, **options)


def test_seeding_writes_what_it_reports(world):
    summary = run(world)
    assert summary.customers == world.value("SELECT count(*) FROM customer") == 300
    assert summary.sessions == world.value("SELECT count(*) FROM app_session")
    assert summary.purchases == world.value("SELECT count(*) FROM purchase")


def test_events_lie_in_the_window_and_belong_to_the_customers(world):
    run(world)
    first, last = world.rows("SELECT min(started_at), max(started_at) FROM app_session")[0]
    assert world.window.start <= first < last < world.window.end
    assert world.rows("SELECT min(customer_id), max(customer_id) FROM purchase")[0] <= (1, 300)
    assert world.value("SELECT count(*) FROM app_session_default") == 0


def test_sessions_purchases_and_amounts_follow_the_generator_of_the_replaced_script(world):
    run(world, customers=2000)
    # Poisson λ=5 and λ=1 a week over 8 weeks, log-normal μ=3 σ=1; five standard errors either way
    sessions, purchases = (world.value(f"SELECT count(*) / 2000.0 FROM {t}") for t in ("app_session", "purchase"))
    assert float(sessions) == pytest.approx(40, abs=5 * (40 / 2000) ** 0.5)
    assert float(purchases) == pytest.approx(8, abs=5 * (8 / 2000) ** 0.5)
    mean, deviation = world.rows(
        "SELECT avg(ln(amount_cents / 100.0)), stddev(ln(amount_cents / 100.0)) FROM purchase"
    )[0]
    assert float(mean) == pytest.approx(3, abs=0.04)
    assert float(deviation) == pytest.approx(1, abs=0.03)


def test_the_generator_takes_other_parameters(world):
    run(world, customers=500, behaviour=Behaviour(sessions_per_week=1, purchases_per_week=0))
    assert 7 < world.value("SELECT count(*) / 500.0 FROM app_session") < 9
    assert world.value("SELECT count(*) FROM purchase") == 0


def test_synthetic_customers_are_ready_to_be_texted_and_no_customer_is_real(world):
    run(world, customers=3000)
    assert world.value("SELECT bool_and(synthetic AND consent_source = 'synthetic') FROM customer")
    assert world.value("SELECT bool_and(consent_at IS NOT NULL AND time_zone IS NOT NULL) FROM customer")
    assert world.value("SELECT bool_and(phone LIKE '+999%') FROM customer")
    without_phone, opted_out = world.rows("SELECT count(*) - count(phone), count(opted_out_at) FROM customer")[0]
    assert 10 <= without_phone <= 55  # 1%
    assert 30 <= opted_out <= 95  # 2%
    assert world.value("SELECT count(DISTINCT phone_hash) = count(phone) FROM customer")


def test_the_same_seed_gives_the_same_data_and_twice_is_the_same_as_once(world):
    run(world)
    before = world.dump(*TABLES)
    run(world)
    assert world.dump(*TABLES) == before


def test_another_seed_gives_other_events(world):
    run(world, rng_seed=7)
    before = world.dump(*TABLES)
    run(world, rng_seed=8)
    after = world.dump(*TABLES)
    assert after["app_session"] != before["app_session"]
    assert after["customer"] == before["customer"]


def test_without_a_seed_it_draws_and_reports_one_that_gives_the_same_again(world):
    summary = run(world, rng_seed=None)
    before = world.dump(*TABLES)
    run(world, rng_seed=summary.rng_seed)
    assert world.dump(*TABLES) == before


def test_seeding_one_window_leaves_the_others_alone(world, in_window):
    run(world)
    before = world.dump(*TABLES)
    earlier = in_window(world.window.previous())
    run(earlier, customers=100)
    run(earlier, customers=50)
    assert world.value(f"SELECT count(*) FROM app_session_{world.window.key}") == len(before["app_session"])
    assert world.dump("customer")["customer"] == before["customer"]


def test_more_customers_join_and_the_first_keep_what_has_happened_to_them(world):
    run(world, customers=10)
    world.execute(sa.text("UPDATE customer SET opted_out_at = '2026-01-01', name = 'Kept' WHERE customer_id = 4"))
    run(world, customers=20)
    assert world.value("SELECT count(*) FROM customer") == 20
    assert world.value("SELECT name FROM customer WHERE customer_id = 4 AND opted_out_at = '2026-01-01'") == "Kept"


def test_it_refuses_a_database_with_a_real_customer_and_touches_nothing(world):
    run(world)
    world.customer(customer_id=9999, synthetic=False)
    before = world.dump(*TABLES)
    with pytest.raises(SeedRefused, match="customer 9999"):
        run(world, rng_seed=8, customers=400)
    assert world.dump(*TABLES) == before


@pytest.mark.parametrize("kind", ["session", "purchase"])
def test_it_refuses_a_window_with_events_of_unknown_customers_and_touches_nothing(world, kind):
    run(world)
    world.sessions(777_777) if kind == "session" else world.purchase(777_777, 100)
    before = world.dump(*TABLES)
    with pytest.raises(SeedRefused, match="who are not in the customer table"):
        run(world, rng_seed=8)
    assert world.dump(*TABLES) == before


def test_events_of_unknown_customers_in_other_windows_do_not_matter(world):
    world.sessions(777_777, at=world.window.start - timedelta(days=1))
    world.sessions(777_777, at=None)
    run(world)
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id = 777777") == 2


def test_events_without_a_customer_are_kept(world):
    world.sessions(None, 3)
    world.purchase(None, 100)
    run(world)
    run(world)
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id IS NULL") == 3
    assert world.value("SELECT count(*) FROM purchase WHERE customer_id IS NULL") == 1


def test_a_campaign_that_has_begun_to_text_customers_keeps_its_events(world):
    run(world)
    world.computed()
    world.message()
    before = world.dump(*TABLES)
    assert run(world, rng_seed=8).frozen
    assert world.dump(*TABLES) == before


@pytest.mark.parametrize(("customers", "rng_seed"), [(0, 1), (10_000_001, 1), (10, -1)])
def test_numbers_out_of_range_are_refused_with_the_range(world, customers, rng_seed):
    with pytest.raises(InputError, match="takes a whole number from"):
        run(world, customers=customers, rng_seed=rng_seed)


def test_progress_reaches_the_total(world):
    calls = []
    run(world, customers=12_000, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(10_000, 12_000), (12_000, 12_000)]


def test_missing_customers_are_added_whatever_ids_are_there(world):
    world.customer(customer_id=5_000_000, synthetic=True)
    run(world, customers=10)
    assert world.value("SELECT count(*) FROM customer") == 11


@pytest.mark.parametrize("late", ["customer", "session"])
def test_real_data_that_comes_in_while_seeding_waits_is_not_lost(world, late):
    run(world)
    inserted = {
        "customer": "INSERT INTO customer (customer_id, registered_at) VALUES (777777, now())",
        "session": f"INSERT INTO app_session VALUES (777777, '{world.window.start.isoformat()}')",
    }[late]
    with ThreadPoolExecutor() as pool:
        with world.engine.begin() as conn:
            conn.execute(sa.text(inserted))
            seeding = pool.submit(run, world, rng_seed=8)
            time.sleep(1)
        with pytest.raises(SeedRefused):
            seeding.result()


def test_readers_read_the_old_events_while_a_seed_writes_the_new_ones(world):
    run(world)
    before = world.value("SELECT count(*) FROM app_session")
    seen = []
    run(
        world,
        customers=12_000,
        progress=lambda done, total: seen.append(world.value("SELECT count(*) FROM app_session")),
    )
    assert seen == [before, before]
    assert world.value("SELECT count(*) FROM app_session") > before


def test_a_seed_that_fails_half_way_changes_nothing_and_the_next_one_succeeds(world):
    run(world)
    before = world.dump(*TABLES)

    def fail(done, total):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run(world, rng_seed=8, progress=fail)
    assert world.dump(*TABLES) == before
    assert not [name for name in sa.inspect(world.engine).get_table_names() if "fresh" in name]
    run(world, rng_seed=8)
    assert world.dump("app_session")["app_session"] != before["app_session"]


def test_what_a_killed_seed_has_left_behind_does_no_harm(world):
    run(world)
    with world.engine.begin() as conn:
        partitions.build_events(conn, world.window)
    summary = run(world, rng_seed=8)
    assert world.value("SELECT count(*) FROM app_session") == summary.sessions


def test_a_campaign_does_not_begin_while_its_window_is_being_seeded(world):
    """It would count the old events, text customers by them, and freeze before the new ones are there."""
    run(world)
    with ThreadPoolExecutor() as pool:
        begun = []
        run(world, rng_seed=8, progress=lambda done, total: begun.append(pool.submit(world.extract)) or time.sleep(1))
        extracted = begun[0].result(timeout=30)
    assert extracted.events["sessions"] == world.value("SELECT count(*) FROM app_session")
    assert begun[0].done()


def test_seeded_partitions_are_like_those_that_were_there(world):
    partitions.ensure_windows(world.engine, [world.window])
    before = _shape(world)
    run(world)
    assert _shape(world) == before


def _shape(world):
    """Partitions with their bounds, and the constraints on them."""
    constraints = "SELECT string_agg(conname, ',') FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c'"
    return world.rows(
        f"SELECT relname, pg_get_expr(relpartbound, oid), ({constraints}) FROM pg_class c "
        "WHERE relispartition AND relname ~ '^(app_session|purchase)_' ORDER BY 1"
    )

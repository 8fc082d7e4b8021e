"""A real Postgres for every test: one embedded server per worker, migrated templates, one clone per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.campaigns.run_options import RunOptions
from engage.drafts import chat
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.sending.sender import SendingContext
from engage.settings import Settings, validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.message import message
from engage.storage import connection, database_roles, migrations, partitions
from engage.storage.schema import app_event, app_session, customer, purchase, refund
from engage.texts.phone import phone_hash
from engage.window import Window
from tests.integration.customers import Customers
from tests.integration.offers import Offers
from tests.integration.texting import Texting
from tests.llm_double import LlmDouble, llm_double
from tests.server_folder import server_folder
from tests.twilio_double import TwilioDouble, twilio_double

if TYPE_CHECKING:
    from tests.integration.archiving import Archiving
    from tests.integration.forked import Forked
    from tests.integration.service import Inside, Process
    from tests.integration.webhooks import Webhooks

NOW = datetime(2026, 11, 10, 9, tzinfo=UTC)
"""A day after the last complete window, so that its messages may go out."""
UNGUARDED = {
    "guard_min_volume_percent": 0,
    "guard_max_quiet_days": 0,
    "guard_max_shift_points": 100,
    "guard_rhythm": "off",
}
"""A handful of events at a window's beginning is enough for most tests, and no campaign that the guard lets pass."""
KEY = b"a key for tests, of no use to anybody"


class Server:
    """An embedded Postgres with databases to clone: ``installed`` after an installation, and ``extracted``, which also
    has the partitions that a first extract of the last complete window makes."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._names = count(1)
        self._admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT").connect()
        for setting in ("fsync", "full_page_writes", "autovacuum"):  # its data outlive no test
            self.execute(f"ALTER SYSTEM SET {setting} = off")
        self.execute("SELECT pg_reload_conf()")
        for role in database_roles.RIGHTS:
            self.execute(f"CREATE ROLE {role} LOGIN")
        self.execute("CREATE DATABASE installed")
        with self._engine("installed") as installed:
            migrations.upgrade(installed, NOW)
        self.execute("CREATE DATABASE extracted TEMPLATE installed")
        with self._engine("extracted") as extracted:
            partitions.ensure_windows(extracted, [Window.last_complete(NOW)])

    def url(self, name: str) -> str:
        return embedded_postgres.database_url(self.host, name)

    def execute(self, statement: str) -> None:
        self._admin.execute(sa.text(statement))

    @contextmanager
    def _engine(self, name: str) -> Iterator[sa.Engine]:
        engine = connection.connect(self.url(name))
        yield engine
        engine.dispose()

    @contextmanager
    def clone(self, template: str) -> Iterator[str]:
        """URL of a database for one test."""
        name = f"test_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield self.url(name)
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._admin.close()
        self._admin.engine.dispose()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with server_folder() as folder, embedded_postgres.postgres(Home(folder)) as host, closing(Server(host)) as server:
        yield server


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """URL of a database without any table."""
    with server.clone("template0") as url:
        yield url


@pytest.fixture
def empty(empty_url: str) -> Iterator[sa.Engine]:
    engine = connection.connect(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture
def template() -> str:
    """What ``url`` is a clone of. Tests of the partitions themselves take ``installed``."""
    return "extracted"


@pytest.fixture
def url(server: Server, template: str) -> Iterator[str]:
    """URL of a migrated database of the test's own."""
    with server.clone(template) as url:
        yield url


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = connection.connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def command(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command prints, on the test's database."""
    from engage.cli import main

    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(main.app, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def opened() -> Iterator[Callable[..., sa.Engine]]:
    """Connects to a database. The engines are closed in the end."""
    engines: list[sa.Engine] = []

    def connect(url: str | sa.URL, **options: Any) -> sa.Engine:
        engines.append(connection.connect(url, **options))
        return engines[-1]

    yield connect
    for engine in engines:
        engine.dispose()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def window() -> Window:
    return Window.last_complete(NOW)


@dataclass
class World:
    """The database as a test fills and reads it."""

    engine: sa.Engine
    window: Window
    now: datetime = NOW
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def customer(self, **values: Any) -> int:
        """Add a customer who may be texted, but for ``values``, and who consented at registration; returns the id."""
        customer_id = values.pop("customer_id", None) or next(self.ids)
        phone = values.pop("phone", f"+999{customer_id:09}")
        registered = values.get("registered_at", self.window.start - timedelta(days=30))
        defaults = {"registered_at": registered, "consent_at": registered, "consent_source": "app"}
        row = defaults | values
        hashed = phone and phone_hash(phone, KEY)
        self.execute(sa.insert(customer).values(customer_id=customer_id, phone=phone, phone_hash=hashed, **row))
        return customer_id

    def sessions(self, customer_id: int | None, number: int = 1, at: datetime | str | None = "inside") -> None:
        at = self.window.start + timedelta(days=3) if at == "inside" else at
        self.execute(sa.insert(app_session), [{"customer_id": customer_id, "started_at": at}] * number)

    def purchase(self, customer_id: int | None, cents: int | None, at: datetime | str | None = "inside") -> None:
        at = self.window.start + timedelta(days=3) if at == "inside" else at
        self.execute(sa.insert(purchase).values(customer_id=customer_id, purchased_at=at, amount_cents=cents))

    def refund(self, customer_id: int | None, cents: int | None, at: datetime | str | None = "inside") -> None:
        at = self.window.start + timedelta(days=3) if at == "inside" else at
        self.execute(sa.insert(refund).values(customer_id=customer_id, refunded_at=at, amount_cents=cents))

    def app_event(
        self, customer_id: int | None, kind: str, item: str | None = "pie", at: datetime | str | None = "inside"
    ) -> None:
        at = self.window.start + timedelta(days=3) if at == "inside" else at
        self.execute(sa.insert(app_event).values(customer_id=customer_id, occurred_at=at, kind=kind, item_id=item))

    def execute(self, *statement: Any) -> None:
        with self.engine.begin() as conn:
            conn.execute(*statement)

    def rows(self, query: str | sa.Select[Any]) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query) if isinstance(query, str) else query)]

    def value(self, query: str | sa.Select[Any]) -> Any:
        return self.rows(query)[0][0]

    def extract(self, **settings: Any) -> Any:
        chosen = validate(UNGUARDED | settings)
        return extract(self.engine, self.window, chosen, as_of=self.now, run_id="test", options=RunOptions())

    def computed(self, **settings: Any) -> Any:
        """Run the campaign up to its buckets."""
        self.extract(**settings)
        aggregate(self.engine, self.window)
        return bucket(self.engine, self.window)

    def message(self, **options: bool) -> Any:
        return message(
            self.engine, self.window, options=RunOptions(**options), context=SendingContext(lambda: self.now)
        )

    def ledger(self) -> dict[int, str]:
        """``status`` or ``skipped/reason`` of the window's messages by customer."""
        query = "SELECT customer_id, status || coalesce('/' || reason, '') FROM message WHERE window_start = '{}'"
        return dict(self.rows(query.format(self.window.start.isoformat())))  # type: ignore[arg-type]

    def dump(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the tables, comparable with an earlier dump."""
        return {table: sorted(self.rows(f"SELECT * FROM {table}"), key=repr) for table in tables}


@pytest.fixture
def world(engine: sa.Engine, window: Window) -> World:
    return World(engine, window)


@pytest.fixture
def archiving(world: World, tmp_path: Path) -> Archiving:
    """An archive in an empty folder, for the world's windows."""
    from tests.integration.archiving import Archiving

    (tmp_path / "archive").mkdir()
    return Archiving(world, tmp_path / "archive")


@pytest.fixture
def recipients(world: World) -> list[int]:
    """Two customers who may be texted, and one who may not."""
    found = [world.customer(), world.customer(), world.customer(opted_out_at=world.now)]
    world.sessions(found[1], 48)
    world.purchase(found[1], 200_00)
    return found


@pytest.fixture
def offers(world: World) -> Offers:
    """Offer codes, and campaigns whose texts name them."""
    return Offers(world)


@pytest.fixture
def unapproved(world: World, recipients: list[int]) -> World:
    """A campaign for them that requires an approval."""
    world.computed(require_approval=True)
    return world


@pytest.fixture
def in_window(engine: sa.Engine) -> Callable[[Window], World]:
    """Another window of the same database."""
    return lambda window: World(engine, window, now=window.end + timedelta(days=1), ids=count(10_000))


@pytest.fixture
def defaults() -> Settings:
    return Settings()


@pytest.fixture
def double() -> Iterator[TwilioDouble]:
    """A provider to send to."""
    with twilio_double() as running:
        yield running


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmDouble]:
    """A model to ask for texts. The pauses between tries have no length."""
    monkeypatch.setattr(chat, "PAUSES", (0.0, 0.0))
    with llm_double() as running:
        yield running


@pytest.fixture
def texting(world: World, double: TwilioDouble) -> Texting:
    """A campaign of customers in New York, to be texted through the double, with Twilio's own SDK."""
    return Texting(world, double)


@pytest.fixture
def api(world: World) -> Iterator[Inside]:
    """The service inside this process, and somebody with a key who calls it."""
    from tests.integration.service import inside

    with inside(world) as found:
        yield found


@pytest.fixture
def customers(api: Inside) -> Customers:
    """Its customers, as a client stores them."""
    return Customers(api)


@pytest.fixture
def serve(url: str, engine: sa.Engine, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts the service as a process of its own, on the test's database."""
    from tests.integration.service import make_key, processes

    with processes(url, make_key(engine), tmp_path) as start:
        yield start


@pytest.fixture
def fork(url: str, engine: sa.Engine, tmp_path: Path) -> Iterator[Callable[..., Forked]]:
    """As ``serve``, at once, and with other limits if need be."""
    from tests.integration.forked import forked
    from tests.integration.service import make_key

    with forked(url, make_key(engine), tmp_path) as start:
        yield start


@pytest.fixture
def webhooks(world: World) -> Webhooks:
    """Twilio's webhooks, with one customer's message queued."""
    from tests.integration.webhooks import Webhooks

    return Webhooks(world).queued()


@pytest.fixture
def sending(webhooks: Webhooks) -> Webhooks:
    """The message is claimed, and perhaps handed over."""
    return webhooks.claimed()


@pytest.fixture
def accepted(sending: Webhooks) -> Webhooks:
    """The message is accepted as ``tests.integration.webhooks.MESSAGE``."""
    return sending.accepted()

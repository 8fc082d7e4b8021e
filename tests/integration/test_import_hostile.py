"""Files as real exports are: each is read with the right counts, or refused with a sentence."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engage.cli.common import login
from engage.errors import InputError
from engage.imports.delimited import MAX_ROW
from tests.integration.importing import Importing, invoked, written

ROOT = Path(__file__).resolve().parents[2]
PLAIN = "customer_id,name,phone\n1,José,+447400123401\n2,Zoë,+447400123402\n3,Ann,\n"
BOTH = {1: "José", 2: "Zoë", 3: "Ann"}


@pytest.fixture
def importing(world):
    return Importing(world)


def parquet(**columns):
    import pyarrow as pa
    from pyarrow import parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=2)
    return out.getvalue()


def lines(*objects):
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in objects).encode()


GOOD = {
    "UTF-8": (PLAIN.encode(), "UTF-8", BOTH),
    "UTF-8 with a mark": (PLAIN.encode("utf-8-sig"), "UTF-8 with a byte order mark", BOTH),
    "UTF-16 with a mark": (PLAIN.encode("utf-16"), "UTF-16 with a byte order mark", BOTH),
    "UTF-16, big-endian": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "UTF-16 with a byte order mark", BOTH),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), "UTF-16 without a byte order mark", BOTH),
    "Windows-1252": (PLAIN.encode("cp1252"), "Windows-1252", BOTH),
    "semicolons": (PLAIN.replace(",", ";").encode(), "UTF-8", BOTH),
    "tabs": (PLAIN.replace(",", "\t").encode(), "UTF-8", BOTH),
    "vertical bars": (PLAIN.replace(",", "|").encode(), "UTF-8", BOTH),
    "a line that says the delimiter": (b"sep=;\r\n" + PLAIN.replace(",", ";").encode(), "UTF-8", BOTH),
    "CR LF": (PLAIN.replace("\n", "\r\n").encode(), "UTF-8", BOTH),
    "CR": (PLAIN.replace("\n", "\r").encode(), "UTF-8", BOTH),
    "no final newline": (PLAIN.rstrip().encode(), "UTF-8", BOTH),
    "blank lines": (PLAIN.replace("\n", "\n\n,,\n").encode(), "UTF-8", BOTH),
    "quoted newlines": (
        b'customer_id,note,name\n1,"a\nb,""c""\r\n",' + "José\n2,,Zoë\n3,,Ann\n".encode(), "UTF-8", BOTH,
    ),
    "commas at the end of each row": (PLAIN.replace("\n", ",,\n").encode(), "UTF-8", BOTH),
    "gzip": (gzip.compress(PLAIN.encode()), "UTF-8", BOTH),
    "gzip in two parts": (gzip.compress(PLAIN[:40].encode()) + gzip.compress(PLAIN[40:].encode()), "UTF-8", BOTH),
    "JSON Lines": (
        lines({"id": 1, "name": "José"}, {"name": "Zoë", "id": "2"}, {"id": 3, "name": "Ann"}),
        "UTF-8", BOTH,
    ),
    "Parquet with numbers as floats": (
        parquet(customer_id=[1.0, 2.0, 3.0], name=["José", "Zoë", "Ann"]), None, BOTH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_read_whatever_its_form(importing, world, name):
    content, encoding, names = GOOD[name]
    report = importing.customers(content)
    assert (report.read, report.added, report.rejected) == (3, 3, 0)
    assert report.file.encoding == encoding
    assert dict(world.rows("SELECT customer_id, name FROM customer")) == names


ROWS = {
    "an exponent": (b"id,phone\n1,1.20E+10\n2,+447400123401\n", 1, {2: "invalid_phone"}),
    "too many values": (b"id,name\n1,Diaz, Ada\n2,Bob\n", 1, {2: "wrong_columns"}),
    "too few values": (b"id,name,locale\n1,Ada,en\n2,Bo\n", 1, {3: "wrong_columns"}),
    "a quotation mark within": (b'id,name\n1,"Ada" Diaz\n2,Bob\n', 1, {2: "misplaced_quote"}),
    "a quotation mark that is not closed": (b'id,name\n1,Ada\n2,"Bob\n3,Eve\n', 1, {3: "q", 4: "q"}),
    "a byte that UTF-8 does not have": ("id,name\n1,José\n2,Zoë\n3,".encode() + b"\xff\xfe\n", 2, {4: "invalid_name"}),
    "a lost character": ("id,name\n1,Jos\ufffd\n2,Zoë\n".encode(), 1, {2: "invalid_name"}),
    "repeated ids": (b"id,name\n1,Ada\n1,Bob\n", 1, {3: "repeated_customer"}),
    "ids that are no numbers": (b"id,name\nC-1,Ada\n007,Bob\n3.0,Eve\n,Zed\n5,Ann\n", 1, {2: "", 3: "", 4: "", 5: ""}),
    "no JSON": (b'{"id": 1}\n{"id": 2\n[3]\n{"id": 4, "id": 5}\n{"id": {"a": 1}}\n', 1, {2: "", 3: "", 4: "", 5: ""}),
    "objects in place of texts": (
        b'{"id": 1, "name": {"first": "Ada"}}\n{"id": 2, "consent_source": ["app"]}\n{"id": 3, "tags": [{}]}\n', 1,
        {1: "nested_value", 2: "nested_value"},
    ),
    "a field that comes late": (
        b"".join(b'{"id": %d}\n' % n for n in range(1, 1003))
        + b'{"id": 2000, "phone": "+447400123401"}\n', 1002, {1003: "late_field"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_right_or_it_is_rejected_by_its_number(importing, world, name):
    content, added, rejected = ROWS[name]
    report = importing.customers(content)
    assert (report.added, report.rejected) == (added, len(rejected))
    assert [row for row, _ in report.first_rejected] == list(rejected)
    assert world.value("SELECT count(*) FROM customer") == added


FILES = {
    "empty": (b"", "The file has no rows"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(100), "a spreadsheet or a ZIP archive"),
    "binary": (bytes(range(256)) * 10, "not text"),
    "gzip cut short": (gzip.compress(PLAIN.encode() * 100)[:-30], "broken or not complete"),
    "gzip with rubbish": (gzip.compress(PLAIN.encode()) + b"rubbish!", "broken or not complete"),
    "Parquet cut short": (parquet(customer_id=[1])[:-20], "The Parquet file cannot be read"),
    "nested Parquet": (parquet(customer_id=[[1]], name=["a"]), "holds list<"),
    "a JSON array": (b'[{"id": 1}]', "one JSON array"),
    "no id": (b"name,phone\nAda,\n", "No column is the customer's id. The columns are 'name', 'phone'"),
    "two phones": (b"id,Mobile,Cell phone\n1,,\n", "'Mobile' and 'Cell phone' may each be the field phone"),
    "a row of 1 MB": (b"id,name\n1," + b"x" * (MAX_ROW + 1) + b"\n", "Row 2 has more than 1,048,576 characters"),
    "a quotation mark open for 1 MB": (
        b'id,name\n1,"' + b"xxxxxxx\n" * (MAX_ROW // 7),
        "Row 2 has more than 1,048,576",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence_and_changes_nothing(importing, world, name):
    content, sentence = FILES[name]
    with pytest.raises(InputError) as refused:
        importing.customers(content)
    assert sentence in str(refused.value)
    assert world.value("SELECT count(*) FROM customer") == 0


def test_a_file_of_many_chunks_is_read_by_several_processes_in_the_order_of_its_rows(importing, monkeypatch):
    monkeypatch.setattr("engage.imports.lines.CHUNK_ROWS", 100)
    content = "id,name\n" + "".join(f'{n},"a\n{n}"\n' if n % 7 else f"{n},x,y\n" for n in range(1, 2001))
    report = importing.customers(content, processes=2)
    assert (report.read, report.reasons) == (2000, {"invalid_name": 1715, "wrong_columns": 285})
    rows = [int(line.partition(",")[0]) for line in importing.rejected.splitlines() if line.endswith(",y")]
    assert rows == [n + 1 for n in range(7, 2001, 7)]
    assert report.first_rejected[:2] == tuple((n, report.first_rejected[0][1]) for n in (2, 3))


def test_a_process_that_ends_while_it_reads_is_not_taken_for_a_broken_file(importing, monkeypatch):
    monkeypatch.setattr("engage.imports.lines.CHUNK_ROWS", 100)
    monkeypatch.setattr("engage.worker_processes.sys.executable", "false")
    content = "id,name\n" + "".join(f"{n},a\n" for n in range(1, 501))
    with pytest.raises(RuntimeError, match="A process that reads rows has ended"):
        importing.customers(content, processes=2)


def test_the_command_says_what_it_found_and_where_the_rejected_rows_are(url, monkeypatch, tmp_path, world):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    monkeypatch.setenv("ENGAGE_HASH_KEY", "k" * 40)
    path = written(tmp_path, "Customer;Mobil;Note\n1;0740 0123401;a\n2;12;b\n".encode("cp1252"), "crm.csv")
    code, said = invoked("customers", path, "--country", "GB", "--map", "Mobil=phone")
    assert code == 0
    assert "Columns read: Customer → customer_id, Mobil → phone.\nColumns not read: Note.\n" in said
    assert "Rows read: 2 = 1 added, 0 changed, 0 unchanged, 1 rejected." in said
    assert "This was a dry run: nothing was changed." in said
    rejected = tmp_path / "crm.csv.rejected.csv"
    assert rejected.stat().st_mode & 0o777 == 0o600
    assert world.value("SELECT count(*) FROM customer") == 0

    rejected.write_text(rejected.read_text().replace(",12,", ",07400123402,"))
    code, said = invoked("customers", path, "--country", "GB", "--map", "Mobil=phone", "--apply", "--json")
    # the rows that are half mended stay
    assert json.loads(said)["rejected_file"] == str(tmp_path / "crm.csv.rejected-2.csv"), (
        "half mended rows were replaced"
    )
    code, said = invoked("customers", rejected, "--country", "GB", "--map", "Mobil=phone", "--apply")
    assert "1 added" in said
    assert world.rows("SELECT phone FROM customer ORDER BY 1") == [("+447400123401",), ("+447400123402",)]
    assert world.rows("SELECT source, actor FROM consent_event") == [("import", login())] * 2


def test_standard_input_is_read_and_a_missing_file_is_one_sentence(url, monkeypatch, tmp_path):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    monkeypatch.setenv("ENGAGE_HASH_KEY", "k" * 40)
    assert "2 added" in invoked("customers", "-", stdin=gzip.compress(b"id\n1\n2\n"))[1]
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match=r"cannot be read: .*Nothing was changed"):
            invoked("customers", path)


FEED = """
import sys
out = sys.stdout.buffer
out.write({begin!r})
for _ in range({blocks}):
    out.write({block!r} * (1 << 20))
"""
READ = """
import re, sys
from engage.cli import main
sys.argv = ["engage", "import", "customers", "-", "--rejected", sys.argv[1]]
try:
    main.main()
finally:
    print(re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[0], file=sys.stderr)
"""


@pytest.mark.deep
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("begin", "block"),
    [(b"id,name\n1,", b"x"), (b'id,name\n1,"', b"x"), (b'id,name\n1,"', b"xxxxxxx\n")],
)
def test_a_row_of_two_gigabytes_is_refused_in_little_memory(url, tmp_path, begin, block):
    import os

    feed = FEED.format(begin=begin, block=block, blocks=2048 // len(block))
    environment = os.environ | {"ENGAGE_DATABASE_URL": url, "ENGAGE_HASH_KEY": "k" * 40, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", feed], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as feeding:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(tmp_path / "rejected.csv")],
            stdin=feeding.stdout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        feeding.kill()
    assert "Row 2 has more than 1,048,576 characters" in done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stderr.split()[-1]) < 400_000

"""`outbox export`: every row, streamed, and no file overwritten."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stigg_guard.commands.export import written
from stigg_guard.commands.failure import Failure
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.fronts import Front
from tests.commands.samples import event, parked, usage


def test_export_has_every_row_of_every_state(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([event(number) for number in range(1_200)])
    assert front("run", "--once").status == 0
    outbox.put([parked(usage())])
    done = front("export")
    assert (done.status, done.err) == (0, "")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [line["id"] for line in told] == [row.id for row in outbox.rows(most=2_000)]
    assert {line["state"] for line in told} == {"delivered", "pending", "parked"}
    assert told[7]["dimensions"] == {"number": 7, "format": "pdf"}
    only = front("export", "--state", "parked").out
    assert json.loads(only) == told[-1]


def test_csv_says_the_same_as_json(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put(
        [
            parked(usage(2.5, customer='a,"b"\nc'), doubtful=True),
            event(customer="half \ud800 of a pair"),
        ]
    )
    rows = [json.loads(line) for line in front("export").out.splitlines()]
    table = [*csv.DictReader(io.StringIO(front("export", "--format", "csv").out))]
    assert len(table) == len(rows) == 2
    for cells, row in zip(table, rows, strict=True):
        assert list(cells) == list(row)
        assert cells["id"] == row["id"]
        assert float(cells["value"]) == row["value"]
        assert json.loads(cells["dimensions"]) == row["dimensions"]
        assert cells["doubtful"] == str(row["doubtful"]).lower()
        assert cells["error"] == (row["error"] or "")
    assert table[0]["customer"] == 'a,"b"\nc'


def test_file_is_written_whole_and_for_its_owner_only(
    front: Front, outbox: SqliteOutbox, tmp_path: Path
) -> None:
    outbox.put([event(), event()])
    folder = tmp_path / "exports"
    folder.mkdir()
    path = folder / "rows.json"
    done = front("export", "--output", str(path))
    assert (done.status, done.out) == (0, "")
    assert done.err == f"2 rows written to {path}.\n"
    assert path.read_text() == front("export").out
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(folder) == ["rows.json"]


def test_file_that_is_there_is_replaced_only_by_force(
    front: Front, outbox: SqliteOutbox, tmp_path: Path
) -> None:
    outbox.put([event()])
    path = tmp_path / "rows.csv"
    path.write_text("precious")
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    done = front("export", "--format", "csv", "--output", str(link))
    assert done.status == 2
    assert done.error.startswith(f'The output "{link}" is there already;')
    assert path.read_text() == "precious"
    forced = front("export", "--format", "csv", "--output", str(link), "--force")
    assert forced.status == 0
    assert link.is_symlink()
    assert path.read_text().startswith("id,state,key,customer,")


def test_file_that_comes_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"

    def write() -> None:
        with written(str(path), force=False) as file:
            file.write("rows")
            path.write_text("precious")

    with pytest.raises(Failure, match="is there already"):
        write()
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["rows.json"]


@pytest.mark.parametrize("place", ["/dev/full", "nowhere/rows.json", ".", ""])
def test_output_that_cannot_be_written_is_one_error(
    place: str, front: Front, outbox: SqliteOutbox, tmp_path: Path
) -> None:
    path = place and str(tmp_path / place)
    done = front("export", "--force", "--output", path)
    assert done.status == 2
    assert done.error.startswith(f'The output "{path}" ')
    assert sorted(os.listdir(tmp_path)) == sorted(
        name for name in os.listdir(tmp_path) if name.startswith("outbox.db")
    )


def test_export_ends_quietly_when_its_reader_does(outbox: SqliteOutbox) -> None:
    outbox.put([event(number) for number in range(5_000)])
    command = [sys.executable, "-m", "stigg_guard.cli", "outbox"]
    with subprocess.Popen(
        [*command, "--location", outbox.location, "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def test_many_rows_do_not_fill_memory(outbox: SqliteOutbox, tmp_path: Path) -> None:
    wide = usage(customer="c" * 2_000)
    for _ in range(10):
        outbox.put([usage(customer="c" * 2_000) for _ in range(2_000)])
    outbox.put([wide])
    path = tmp_path / "rows.json"
    # What a row takes in memory, times 20,000, has no room in what is left.
    code = f"""
import resource, sys
from stigg_guard.commands import console
def use(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: console.main(["outbox", "--location", {outbox.location!r}, "status"])
except SystemExit: before = use()
try: console.main(["outbox", "--location", {outbox.location!r}, "export",
    "--output", {str(path)!r}])
except SystemExit as end: print(use() - before, end.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    grown, status = done.stdout.splitlines()[-1].split()
    assert status == "0"
    assert path.stat().st_size > 40_000_000
    assert int(grown) * 1024 < 25_000_000

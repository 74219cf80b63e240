"""The SQLite file that holds the records: it is opened and checked, and its errors are put in words."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qml.jobs.errors import StoreError

APPLICATION = 0x514D4C4A  # "QMLJ", in the file's header
VERSION = 2
PATIENCE = 30.0  # seconds to wait while another process writes
SYNCHRONOUS = "FULL"  # a transaction is on the disk when it ends, even if the power fails
RECOVER = "Keep a copy; what can be read of it: sqlite3 FILE .recover"
SUFFIXES = (".sqlite", ".sqlite3", ".db")

SCHEMA = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    backend TEXT NOT NULL,
    model_hash TEXT NOT NULL,
    options TEXT NOT NULL,
    tags TEXT NOT NULL,
    inputs BLOB,
    outputs BLOB,
    owner TEXT,
    lease REAL,
    cancelled REAL,
    max_jobs INTEGER,
    max_seconds REAL
);
CREATE TABLE submissions (
    run_id TEXT NOT NULL REFERENCES runs,
    sequence INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    payload BLOB NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (run_id, sequence)
);
CREATE TABLE chunks (
    tag TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    parts TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'sent', 'done', 'failed', 'cancelled', 'replaced')),
    job_id TEXT,
    reason TEXT,
    sent REAL,
    changed REAL NOT NULL,
    results BLOB,
    reply BLOB,
    seconds REAL,
    CHECK (state != 'sent' OR job_id IS NOT NULL),
    CHECK (state != 'done' OR results IS NOT NULL),
    FOREIGN KEY (run_id, sequence) REFERENCES submissions
);
CREATE INDEX chunks_of_submission ON chunks (run_id, sequence);
"""
UPGRADES = {
    1: (
        "ALTER TABLE runs ADD COLUMN max_jobs INTEGER",
        "ALTER TABLE runs ADD COLUMN max_seconds REAL",
        "ALTER TABLE chunks ADD COLUMN reply BLOB",
        "ALTER TABLE chunks ADD COLUMN seconds REAL",
    )
}
"""Statements that turn a file of this version into one of the next version."""

HEADER_BYTES, MAGIC, APPLICATION_BYTES = 100, b"SQLite format 3\x00", slice(68, 72)
OWN_TEXT = b"CREATE TABLE chunks (\n    tag TEXT PRIMARY KEY"  # recognises a file of ours whose header is damaged
FIRST_BYTES = 65536


class Database:
    """An SQLite file in which every write is a transaction that is on the disk when it ends.

    Args:
        path: the file; it is created with its folders if it is missing.
        own: whether only this package puts files there, so that a file that cannot be recognised is ours and damaged.

    Raises:
        StoreError: a file of ours that is corrupt (it is renamed and kept), a file of another program (it is not
            touched), a file that a newer version wrote, that is locked or read-only, or a full disk.
        ValueError: a suffix that is none of a database.
    """

    def __init__(self, path: Path, *, own: bool = False) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"Argument `store` must name a file ending in {', '.join(SUFFIXES)}, but is {path}.")
        self.path = path
        self._lock = threading.RLock()  # autograd may call from a thread of its own
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder of {path} cannot be made ({error.strerror}). Name another --store."
            ) from error
        self._require_recognised(own=own)
        with self._in_words():
            self._connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._connection.close)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._require_own()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction, of which everything is written or nothing."""
        with self._lock, self._in_words():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a SELECT."""
        with self._lock, self._in_words():
            return self._connection.execute(query, values).fetchall()

    def _require_recognised(self, *, own: bool) -> None:
        """Refuse a file that is not ours before SQLite opens it, because opening may write to it or rename it."""
        try:
            if not self.path.exists():
                return
            if not self.path.is_file():
                raise StoreError(
                    f"The job file {self.path} cannot be opened or made: it is no file. Name another one with --store."
                )
            with self.path.open("rb") as file:
                first = file.read(FIRST_BYTES)
        except OSError as error:
            raise StoreError(
                f"The job file {self.path} cannot be read ({error.strerror}). Name another file with --store."
            ) from error
        application = int.from_bytes(first[:HEADER_BYTES][APPLICATION_BYTES], "big")
        ours = application == APPLICATION or (OWN_TEXT in first and b"\x00" in first)  # a dump of ours is text
        if own or ours or not first:
            return
        kind = "a database of another program" if first.startswith(MAGIC) else "no file of job records"
        raise StoreError(f"{self.path} is {kind}, and is left as it is. Name another file with --store.")

    def _require_own(self) -> None:
        """Make the tables of a new file, upgrade an older version, and refuse a file that is not ours."""
        if self._state() == (0, 0, 0):
            with self.writing() as connection:
                if self._state() == (0, 0, 0):  # no other process was faster
                    for statement in SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {APPLICATION}")
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        application, version, _ = self._state()
        if application != APPLICATION:
            raise StoreError(f"{self.path} is a database of another program. Name another file with --store.")
        if version in UPGRADES:
            self._upgrade()
        elif version < VERSION:
            raise StoreError(f"The job file {self.path} is damaged: it has version {version}. {RECOVER}")
        if version > VERSION:
            raise StoreError(
                f"{self.path} has version {version}, but this program reads {VERSION}. Update qml-circuits, or name "
                "another file with --store."
            )

    def _upgrade(self) -> None:
        with self.writing() as connection:
            while (version := self._state()[1]) in UPGRADES:  # no other process was faster
                for statement in UPGRADES[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")

    def _state(self) -> tuple[int, int, int]:
        """Return the file's application id, its version, and the number of its tables."""
        queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        application, version, n_tables = (self._connection.execute(query).fetchone()[0] for query in queries)
        return application, version, n_tables

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite's message quotes the damaged schema
            raise StoreError(self._keep_aside()) from error
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
                raise StoreError(f"The job file {self.path} is closed.") from error
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise StoreError(self._keep_aside()) from error
            meanings = {
                sqlite3.SQLITE_FULL: "the disk is full. Free some space, then go on with `qml jobs resume`",
                sqlite3.SQLITE_BUSY: f"another process has kept it locked for {PATIENCE:.0f} s. Try again",
                sqlite3.SQLITE_READONLY: "it is read-only. Change its permissions, or name another file with --store",
                sqlite3.SQLITE_CANTOPEN: "it cannot be opened or made. Name another file with --store",
                sqlite3.SQLITE_IOERR: "the disk reports an error. Nothing half-written is kept",
                sqlite3.SQLITE_TOOBIG: "a record is larger than SQLite takes. Send fewer rows in one run",
            }
            meaning = meanings.get(code, f"SQLite reports an error, as it does of damaged files. {RECOVER}")
            raise StoreError(f"The job file {self.path} could not be used: {meaning} ({error}).") from error

    def _keep_aside(self) -> str:
        """Rename a corrupt file and its journal, and return the message that says so."""
        if hasattr(self, "_connection"):
            self._connection.close()
        number = 1
        while (kept := self.path.with_name(f"{self.path.name}.corrupt-{number}")).exists():
            number += 1
        try:
            self.path.rename(kept)
            journal = self.path.with_name(f"{self.path.name}-journal")
            if journal.exists():
                journal.rename(kept.with_name(f"{kept.name}-journal"))
        except OSError as error:
            return f"The job file {self.path} is corrupt and could not be renamed ({error.strerror}). Move it yourself."
        return (
            f"The job file {self.path} is corrupt. It is kept as {kept.name}, and the next command starts a new file. "
            f"What can be read of it: sqlite3 {kept.name} .recover"
        )

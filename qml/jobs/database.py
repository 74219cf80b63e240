"""The SQLite file behind the records: opened, checked, and its errors put in words."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qml.jobs.errors import StoreError

APPLICATION = 0x514D4C4A  # "QMLJ", in the file's header
VERSION = 1
PATIENCE = 30.0  # seconds to wait for another process's write
SYNCHRONOUS = "FULL"  # a transaction is on the disk when it ends, even if the power fails
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
    cancelled REAL
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
    CHECK (state != 'sent' OR job_id IS NOT NULL),
    CHECK (state != 'done' OR results IS NOT NULL),
    FOREIGN KEY (run_id, sequence) REFERENCES submissions
);
CREATE INDEX chunks_of_submission ON chunks (run_id, sequence);
"""


class Database:
    """One SQLite file; every write is a transaction that is on the disk when it ends.

    Args:
        path: the file, made with its folders where it is missing.

    Raises:
        StoreError: a file that is corrupt (it is renamed and kept), that another program or a newer version wrote, that
            is locked or read-only, or a full disk.
        ValueError: a name that no database has.
    """

    def __init__(self, path: Path) -> None:
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
        """One transaction: all of it is written, or nothing."""
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
        """The rows of a SELECT."""
        with self._lock, self._in_words():
            return self._connection.execute(query, values).fetchall()

    def _require_own(self) -> None:
        """Make the tables of a new file; refuse a file that is not ours."""
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
        if version > VERSION:
            raise StoreError(
                f"{self.path} has version {version}, but this program reads {VERSION}. Update qml-circuits, or name "
                "another file with --store."
            )

    def _state(self) -> tuple[int, int, int]:
        """Whose file it is, its version, and how many tables it has."""
        queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        application, version, n_tables = (self._connection.execute(query).fetchone()[0] for query in queries)
        return application, version, n_tables

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise StoreError(f"The job file {self.path} is closed.") from error
        except sqlite3.DatabaseError as error:
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
            if code not in meanings:
                raise
            raise StoreError(f"The job file {self.path} could not be used: {meanings[code]} ({error}).") from error

    def _keep_aside(self) -> str:
        """Rename a corrupt file, its journal with it, and say so."""
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

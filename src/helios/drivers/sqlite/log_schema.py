"""The tables of the log, and what its file must be.

An event's row holds what is its own; what repeats is a number. `kinds` numbers what a filter can
ask for (tenant, source, type, version, aggregate type), so a filter is decided on a few hundred
rows in memory and scans by one small integer. `recorded_at` and the hash stand once per commit,
in `batches`. The head of an aggregate is the last entry of its index: no column to keep right.
"""

import apsw

from helios.kernel import errors

APPLICATION_ID = 0x48654C67  # "HeLg": `file log.db` and a second product can tell whose it is
VERSION = 1
CHECKPOINT_PAGES = 4_000
PREWARM_STEP_PAGES = 16
_PAGE_BYTES = 4_096

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE origins (
  number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, source TEXT NOT NULL,
  UNIQUE (tenant, source)) STRICT;
CREATE TABLE families (
  number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, aggregate_type TEXT NOT NULL,
  UNIQUE (tenant, aggregate_type)) STRICT;
CREATE TABLE kinds (
  number INTEGER PRIMARY KEY, origin INTEGER NOT NULL, family INTEGER NOT NULL,
  type TEXT NOT NULL, version INTEGER NOT NULL,
  UNIQUE (origin, family, type, version)) STRICT;
CREATE TABLE actors (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE aggregates (
  number INTEGER PRIMARY KEY, id ANY NOT NULL, family INTEGER NOT NULL,
  UNIQUE (id, family)) STRICT;
CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  aggregate INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  actor INTEGER NOT NULL,
  id ANY NOT NULL,
  lag_us INTEGER NOT NULL,
  correlation_id ANY,
  causation_id ANY,
  payload BLOB NOT NULL,
  metadata BLOB) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (origin, id);
CREATE UNIQUE INDEX events_by_aggregate ON events (aggregate, sequence);
CREATE TABLE batches (
  last INTEGER PRIMARY KEY, recorded_at INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE idempotency (
  number INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL,
  request_hash BLOB NOT NULL, answer BLOB NOT NULL, expires_at INTEGER NOT NULL,
  UNIQUE (scope, key)) STRICT;
"""

_OPENED = (
    "INSERT INTO meta VALUES ('openings', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
)


def prepare(connection: apsw.Connection, path: str, new_log_id: str) -> str:
    """Create the tables in an empty file, or check the version; returns the log's identity.

    Raises:
        StorageError: the file is another program's, or of a later Helios.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        log_id = _prepare(connection, path, new_log_id)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return log_id


def _prepare(connection: apsw.Connection, path: str, new_log_id: str) -> str:
    owner = connection.pragma("application_id")
    version = connection.pragma("user_version")
    if owner == 0 and version == 0 and not list(connection.execute("SELECT 1 FROM sqlite_schema")):
        connection.execute(_TABLES)
        connection.execute("INSERT INTO meta VALUES ('log_id', ?)", (new_log_id,))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}")
        return new_log_id
    if owner != APPLICATION_ID:
        raise errors.StorageError(f"{path}: not a log of Helios. Give another path")
    if version > VERSION:
        raise errors.StorageError(
            f"{path}: written by a later Helios (schema {version}, this one knows {VERSION}). "
            "Install that version, or restore a backup made before the upgrade"
        )
    log_id: str = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").get
    return log_id


def settle(connection: apsw.Connection) -> None:
    """Make durable what recovery found in the WAL, before anyone reads it or is answered from it.

    A process killed between the write of a commit and its flush leaves it in the WAL; recovery
    shows it, flushed or not, and a power cut may still take it back. After a failed flush the
    kernel even calls pages clean that never reached the disk, and no later flush writes them. So
    everything is copied into the file, and a commit begins the WAL anew: it is flushed, and what
    stood there before is void.
    """
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute(_OPENED)


def prewarm(connection: apsw.Connection) -> bool:
    """Grow the WAL file by `PREWARM_STEP_PAGES`, so that commits overwrite it, not extend it.

    Extending a file costs the file system a journal commit at each flush. The scratch row is
    flushed at once: what is left dirty would be flushed by the next commit, whose caller waits.

    Args:
        connection: the writing one, between two commits; `prewarmed` ends it.

    Returns:
        Whether it goes on: not when other processes write, because they have grown it, and not
        when the disk is full.
    """
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS scratch (number INTEGER PRIMARY KEY, b BLOB)"
        )
        size = PREWARM_STEP_PAGES * _PAGE_BYTES
        connection.execute("REPLACE INTO scratch VALUES (1, zeroblob(?))", (size,))
    except (apsw.BusyError, apsw.FullError):
        return False
    return True


def prewarmed(connection: apsw.Connection) -> None:
    """End the growing: leave no scratch. The next commit moves the pages into the file."""
    try:
        connection.execute("DROP TABLE IF EXISTS scratch")
    except (apsw.BusyError, apsw.FullError):
        return  # left to the next opening
    finally:
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")

"""How Airflow connects through PgBouncer: ``[database] sql_alchemy_connect_args``, and the same with ``_async``."""

# A replica whose node has died does not answer at all: after the time-out libpq tries the next address.
CONNECT_ARGS = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

# A prepared statement lives in one connection to the server, and PgBouncer gives each transaction any of them. Before
# 1.21 it does not follow them: neither SQLAlchemy nor asyncpg may keep one for longer than a transaction.
UNPREPARED = {"prepared_statement_cache_size": 0, "statement_cache_size": 0}

-- Gives one Airflow a role and a database of its own, and nothing else. Safe to run again; also sets a new password.
-- Run by psql as an administrator, with the variables role, database, connections and others, and the file below.
-- The administrator need not be a superuser (managed databases give none): it must be able to make roles and databases.
\set ON_ERROR_STOP on
\set QUIET on
-- Should a statement fail, the server must not write it, password and all, into its log. Only a superuser may say so;
-- elsewhere the statement that holds the password has nothing left in it that could fail.
SELECT $$SET log_min_error_statement = 'panic'$$
WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \gexec
\set password `cat /run/secrets/role/password`

SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
-- A new role may do none of the things that only a superuser may name here (SUPERUSER, REPLICATION, BYPASSRLS).
ALTER ROLE :"role" LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT :connections PASSWORD :'password';

-- Without being a superuser one may only give a database to a role that one belongs to.
GRANT :"role" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"role";

-- Every role may connect to every database unless that right is taken from PUBLIC. What is not ours to take (the
-- databases of a managed server's own) is left alone. The administrator must not lock itself out.
SELECT format('GRANT CONNECT ON DATABASE %I TO CURRENT_USER', datname)
FROM pg_database
WHERE :'others' = 'true' AND datname IN ('postgres', 'template1') AND pg_has_role(datdba, 'USAGE') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database
WHERE datname = :'database'
  OR (:'others' = 'true' AND datname IN ('postgres', 'template1') AND pg_has_role(datdba, 'USAGE')) \gexec

\connect :"database"
ALTER SCHEMA public OWNER TO :"role";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
\echo role :role owns database :database

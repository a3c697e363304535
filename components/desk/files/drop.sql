-- A role of a dev stack and its database, connections and all.
ALTER ROLE :"role" NOLOGIN;
GRANT :"role" TO CURRENT_USER;
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = :'role' \gexec
DROP ROLE :"role";

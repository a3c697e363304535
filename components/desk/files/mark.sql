-- Role and mark in one: what was interrupted leaves no role of which nobody knows whose it is.
BEGIN;
SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
COMMENT ON ROLE :"role" IS :'mark';
COMMIT;

-- How many roles and databases of the name are somebody else's.
SELECT (SELECT count(*) FROM pg_roles
        WHERE rolname = :'role' AND coalesce(shobj_description(oid, 'pg_authid'), '') <> :'mark')
     + (SELECT count(*) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
        WHERE datname = :'role'
          AND coalesce(shobj_description(pg_roles.oid, 'pg_authid'), '') <> :'mark'
          -- Made by an administrator who was interrupted before he gave it away: its role is there and marked.
          AND NOT EXISTS (SELECT FROM pg_roles AS own
                          WHERE own.rolname = :'role' AND shobj_description(own.oid, 'pg_authid') = :'mark'));

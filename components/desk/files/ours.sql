SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = :'mark' ORDER BY 1;

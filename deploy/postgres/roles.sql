-- The two databases, and a role for each part that opens one. Idempotent: it sets the passwords anew, makes what is
-- missing, and keeps what is there. What the roles may do with Engage's tables: engage/storage/database_roles.py.
\set airflow `cat /run/secrets/AIRFLOW_DB_PASSWORD`
\set engage `cat /run/secrets/ENGAGE_DB_PASSWORD`
\set engage_service `cat /run/secrets/ENGAGE_SERVICE_DB_PASSWORD`
\set engage_alerts `cat /run/secrets/ENGAGE_ALERTS_DB_PASSWORD`
\set engage_pages `cat /run/secrets/ENGAGE_PAGES_DB_PASSWORD`

SELECT format('CREATE ROLE %I', name)
FROM unnest('{airflow,engage,engage_service,engage_pages,engage_alerts}'::name[]) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE airflow LOGIN PASSWORD :'airflow';
ALTER ROLE engage LOGIN PASSWORD :'engage';
ALTER ROLE engage_service LOGIN PASSWORD :'engage_service';
ALTER ROLE engage_alerts LOGIN PASSWORD :'engage_alerts';
ALTER ROLE engage_pages LOGIN PASSWORD :'engage_pages';

-- Postgres's built-in sort order: an operating system's may change with a new image and corrupt indexes
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LOCALE_PROVIDER builtin '
              'BUILTIN_LOCALE ''C.UTF-8''', name, name)
FROM unnest('{airflow,engage}'::name[]) AS name
WHERE name NOT IN (SELECT datname FROM pg_database) \gexec
-- by default every role may connect to every database, and make temporary tables there
REVOKE ALL ON DATABASE airflow, engage, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE engage TO engage_service, engage_pages, engage_alerts;
GRANT TEMPORARY ON DATABASE engage TO engage_pages; -- a file is imported through temporary tables

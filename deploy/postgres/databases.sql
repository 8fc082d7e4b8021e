-- Run once, by Postgres itself, when its volume is empty: two databases, each for one role alone.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv engage_password ENGAGE_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE engage LOGIN PASSWORD :'engage_password';
-- Postgres's own sorting, since that of an operating system may change under the indexes with a new image
CREATE DATABASE airflow OWNER airflow TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
CREATE DATABASE engage OWNER engage TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
-- until told otherwise, everybody may connect to every database
REVOKE ALL ON DATABASE airflow, engage, postgres, template1 FROM PUBLIC;

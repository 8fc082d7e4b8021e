-- Postgres runs this once, when its volume is empty: two databases, each for one role only.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv engage_password ENGAGE_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE engage LOGIN PASSWORD :'engage_password';
-- Postgres's built-in sort order: an operating system's may change with a new image and corrupt indexes
CREATE DATABASE airflow OWNER airflow TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
CREATE DATABASE engage OWNER engage TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
-- by default every role may connect to every database
REVOKE ALL ON DATABASE airflow, engage, postgres, template1 FROM PUBLIC;

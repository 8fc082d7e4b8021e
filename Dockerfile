# The server's image, with Airflow, the DAGs and the HTTP service. docker-compose.yaml runs all of them from it.
FROM apache/airflow:3.3.2-python3.11

USER 50000:0
WORKDIR /opt/airflow

# A virtual environment with exactly the versions of the tests. Over the image's own packages they would break some of
# its many providers, which need other versions.
ENV PIP_USER=false
RUN python3 -m venv .venv
COPY --chown=50000:0 locks/server.txt locks/
RUN .venv/bin/python -m pip install --no-cache-dir --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: -r locks/server.txt

COPY --chown=50000:0 deploy deploy
COPY --chown=50000:0 dags dags
COPY --chown=50000:0 plugins plugins
COPY --chown=50000:0 engage engage
# docker-compose.yaml makes the containers wait for the database. So the image's entry point must not wait for Airflow's
# database, which the service cannot reach.
ENV PATH=/opt/airflow/.venv/bin:$PATH PYTHONPATH=/opt/airflow CONNECTION_CHECK_MAX_COUNT=0
RUN python -m compileall -q engage \
 && printf '#!/bin/sh\nexec python -P -m engage "$@"\n' >.venv/bin/engage && chmod 755 .venv/bin/engage

# The server's image: Airflow with the DAG, and the HTTP service. docker-compose.yaml runs both from it.
FROM apache/airflow:3.3.2-python3.11

USER 50000:0
WORKDIR /opt/airflow

# An environment of its own, with exactly the versions that the tests ran with. Installed over the image's own packages,
# they would break some of the many providers there, which want others.
ENV PIP_USER=false
RUN python3 -m venv .venv
COPY --chown=50000:0 requirements.txt constraints.txt ./
COPY --chown=50000:0 deploy/requirements.txt deploy/
RUN .venv/bin/python -m pip install --no-cache-dir --quiet --disable-pip-version-check \
      -r requirements.txt -r deploy/requirements.txt -c constraints.txt

COPY --chown=50000:0 deploy deploy
COPY --chown=50000:0 dags dags
COPY --chown=50000:0 plugins plugins
COPY --chown=50000:0 engage engage
# docker-compose.yaml says who waits for the database, so the image's entry point need not look for Airflow's, which the
# service does not have.
ENV PATH=/opt/airflow/.venv/bin:$PATH PYTHONPATH=/opt/airflow CONNECTION_CHECK_MAX_COUNT=0
RUN python -m compileall -q engage

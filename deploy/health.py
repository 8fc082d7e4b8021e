"""Exits with 0 if a part of Airflow is healthy: ``health.py scheduler``, ``dag_processor`` or ``triggerer``.

It asks the api-server, which knows each part's last heartbeat. Airflow's own command would take seconds of CPU time.
"""

import json
import sys
import urllib.request

HEALTH = "http://api-server:8080/api/v2/monitor/health"

with urllib.request.urlopen(HEALTH, timeout=10) as answer:  # nosec B310
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(status != "healthy")

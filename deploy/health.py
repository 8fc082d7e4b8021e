"""Whether a part of Airflow is healthy, as its exit code: ``health.py scheduler``, ``dag_processor``, ``triggerer``.

Asks the api-server, which knows everybody's last heartbeat: Airflow's own command takes seconds of processor time.
"""

import json
import sys
import urllib.request

HEALTH = "http://api-server:8080/api/v2/monitor/health"

with urllib.request.urlopen(HEALTH, timeout=10) as answer:
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(status != "healthy")

"""Runs the service with uvicorn."""

from __future__ import annotations

import gc
from typing import Any

import uvicorn
from fastapi import FastAPI

from engage.service import request_head
from engage.service.client_address import TrustedProxies

KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 2_000
STOP_SECONDS = 20
"""How long requests under way may take once the service is asked to stop."""
_COLLECT_AFTER = 50_000
"""New objects between two searches for cycles of garbage. A batch makes some thousand objects, without cycles."""


def serve(app: FastAPI, host: str, port: int, trusted_proxies: TrustedProxies) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first."""
    options: dict[str, Any] = {
        "http": request_head.counting(trusted_proxies),
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": STOP_SECONDS,
        "limit_concurrency": MAX_CONNECTIONS,
        "backlog": 2048,
    }
    gc.freeze()  # what lives as long as the process is not searched
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    uvicorn.Server(uvicorn.Config(app, host=host, port=port, **options)).run()

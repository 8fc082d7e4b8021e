"""Engage's pages inside Airflow's frame, as one web app. Each router holds the addresses of one page.

``engage.pages`` makes the HTML. Only the api-server imports this module, when it asks the plugin for its web app.
"""

from __future__ import annotations

import engage_web_activity
import engage_web_approval
import engage_web_campaigns
import engage_web_customers
import engage_web_days
import engage_web_drafts
import engage_web_errors
import engage_web_headers
import engage_web_import
import engage_web_messages
import engage_web_segments
import engage_web_settings
import engage_web_shell
import engage_web_test_sends
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI

app = FastAPI(title="Engage", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
engage_web_errors.install(app)
engage_web_headers.install(app)
PAGES = (
    engage_web_shell,
    engage_web_campaigns,
    engage_web_days,
    engage_web_approval,
    engage_web_messages,
    engage_web_customers,
    engage_web_import,
    engage_web_segments,
    engage_web_test_sends,
    engage_web_drafts,
    engage_web_settings,
    engage_web_activity,
)
for page in PAGES:
    app.include_router(page.router)

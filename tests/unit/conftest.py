from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("engage", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("engage")

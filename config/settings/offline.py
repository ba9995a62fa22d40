"""Settings for tools that need no server, such as the type checker."""

import os

os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost:1/none")

from config.settings.test import *  # noqa: F403

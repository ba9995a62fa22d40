"""Settings for tests: PostgreSQL, fast password hashes, mail in the mailbox."""

import os

# Tests that need a broker use the fixture `valkey_url`. Other tests must not depend on a broker.
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")

from config import env
from config.settings.local import *  # noqa: F403

# Files of tests must not mix with those of a copy that runs at the same time, nor with those of
# another process of pytest-xdist.
VAR_DIR = VAR_DIR / "test" / os.environ.get("PYTEST_XDIST_WORKER", "alone")  # noqa: F405
KEPT_NOES_DIR = env.text("KEPT_NOES_DIR", default=str(VAR_DIR / "noes"))

DEBUG = False
DEMO_LOGIN = False
STAFF_FOLLOW_LEARNER_LINKS = False
BASE_URL = "http://testserver"
ALLOWED_HOSTS = ["*"]
EMAIL_REDIRECT_TO = ""
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Commits do not wait for the disk, because data of tests need not survive a power cut.
_default = DATABASES["default"]  # noqa: F405
DATABASES["default"] = env.with_session_setting(  # noqa: F405
    _default, "synchronous_commit", "off"
)
# Found when they are asked for: each client of a test would list all of them first.
WHITENOISE_AUTOREFRESH = True

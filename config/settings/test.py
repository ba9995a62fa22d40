"""Settings for the tests: PostgreSQL as everywhere, cheap passwords, mail in the mailbox."""

import os

# Tests that need a broker ask for the fixture `valkey_url`; the others must not depend on one.
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")

from config import env
from config.settings.local import *  # noqa: F403

# What tests write must not be taken for the state of a copy that is running beside them.
VAR_DIR = VAR_DIR / "test"  # noqa: F405
KEPT_NOES_DIR = env.text("KEPT_NOES_DIR", default=str(VAR_DIR / "noes"))

DEBUG = False
DEMO_LOGIN = False
STAFF_FOLLOW_LEARNER_LINKS = False
BASE_URL = "http://testserver"
ALLOWED_HOSTS = ["*"]
EMAIL_REDIRECT_TO = ""
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# What a test commits is read at once by other processes, but need not survive a power cut: no
# commit waits for the disk.
_default = DATABASES["default"]  # noqa: F405
DATABASES["default"] = env.with_session_setting(  # noqa: F405
    _default, "synchronous_commit", "off"
)

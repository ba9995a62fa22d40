"""Settings for a local machine: no variable is required, and mail goes to the mailbox page."""

from config import env
from config.settings.base import *  # noqa: F403

DEBUG = env.flag("DEBUG", default=False)
# This key is public. Production refuses to start without its own key.
SECRET_KEY = "local-only-key-that-production-never-uses"  # noqa: S105
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
DEMO_LOGIN = True
STAFF_FOLLOW_LEARNER_LINKS = True

BASE_URL = env.web_address("BASE_URL", hosts=ALLOWED_HOSTS, default="http://127.0.0.1:8000")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
EMAIL_BACKEND = env.text("EMAIL_BACKEND", default="interventions.channels.mailbox.MailboxBackend")
DEFAULT_FROM_EMAIL = env.mail_address(
    "DEFAULT_FROM_EMAIL", default="Nudgelab <courses@nudgelab.example>"
)
POSTAL_ADDRESS = env.text("POSTAL_ADDRESS", default="Nudgelab, 1 Example Street, Exampletown")

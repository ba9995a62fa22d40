"""Settings for real learners: safe by default, and no start while something needed is missing."""

from config import env
from config.settings.base import *  # noqa: F403

DEBUG = False
# A transaction in which nobody does anything any more holds its rows, and keeps dead ones from
# being cleared away. No stage and no import pauses for so long.
DATABASES = {
    "default": env.with_session_setting(
        DATABASES["default"],  # noqa: F405
        "idle_in_transaction_session_timeout",
        "10min",
    )
}
SECRET_KEY = env.secret("SECRET_KEY")
# Links in messages never expire: keys of former times still have to read them.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.host_names("ALLOWED_HOSTS")

BASE_URL = env.secure_web_address("BASE_URL", hosts=ALLOWED_HOSTS)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
EMAIL_BACKEND = env.text("EMAIL_BACKEND", default="django.core.mail.backends.smtp.EmailBackend")
DEFAULT_FROM_EMAIL = env.mail_address("DEFAULT_FROM_EMAIL")
POSTAL_ADDRESS = env.text("POSTAL_ADDRESS")

# Behind a proxy that ends TLS the header below is the only sign of it. Set PROXY_TLS_HEADER=no
# where clients reach the web server directly: there anybody could send the header.
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
if env.flag("PROXY_TLS_HEADER", default=True):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # The same proxy says who asks: without it, failed logins of all the world are one client's.
    TRUSTED_PROXIES = env.whole_number("TRUSTED_PROXIES", default=1)
SECURE_HSTS_SECONDS = env.whole_number("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
X_FRAME_OPTIONS = "DENY"
# Whether a domain goes into the browsers' own lists is for its owner to decide, not for a default.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

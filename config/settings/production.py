"""Settings for production: safe by default. A missing required variable stops the start."""

from config import env
from config.settings.base import *  # noqa: F403

DEBUG = False
# An idle transaction holds its row locks and prevents vacuum. No stage and no import is idle for so
# long.
DATABASES = {
    "default": env.with_session_setting(
        DATABASES["default"],  # noqa: F405
        "idle_in_transaction_session_timeout",
        "10min",
    )
}
SECRET_KEY = env.secret("SECRET_KEY")
# Links in messages never expire, so earlier keys must still be able to read them.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.host_names("ALLOWED_HOSTS")

BASE_URL = env.secure_web_address("BASE_URL", hosts=ALLOWED_HOSTS)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
EMAIL_BACKEND = env.text("EMAIL_BACKEND", default="django.core.mail.backends.smtp.EmailBackend")
DEFAULT_FROM_EMAIL = env.mail_address("DEFAULT_FROM_EMAIL")
POSTAL_ADDRESS = env.text("POSTAL_ADDRESS")

# Behind a proxy that ends TLS, only this header shows that the client uses TLS. Set
# PROXY_TLS_HEADER=no if clients reach the web server directly, because they could send the header.
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
if env.flag("PROXY_TLS_HEADER", default=True):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # The same proxy adds the client's address. Without it, all failed logins would count for one
    # client.
    TRUSTED_PROXIES = env.whole_number("TRUSTED_PROXIES", default=1)
SECURE_HSTS_SECONDS = env.whole_number("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
X_FRAME_OPTIONS = "DENY"
# Only the owner of a domain can decide to add it to the browsers' preload lists.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

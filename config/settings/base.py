"""Common settings. Local, test and production add to them."""

import zoneinfo
from datetime import timedelta

from config import env, mail_webhooks, places
from config.pages import content_policy, navigation

VAR_DIR = places.VAR

# Only the pinned tzdata package is used. With the machines' own files, a course could have
# different midnights on two machines, and so different segments.
zoneinfo.reset_tzpath(to=())

INSTALLED_APPS = [
    # Without a site of its own: config.apps.AdminConfig names ours.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    # django.contrib.admin, but its pages are loaded with the URLs.
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "csp",
    "django_htmx",
    "config",
    "activity",
    "segmentation",
    "experiments",
    "interventions",
]

MIDDLEWARE = [
    "config.health.monitoring.MonitoringMiddleware",
    "config.pages.busy.BusyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.pages.content_policy.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.pages.course_zone.CourseZoneMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last, because it replaces the login page by the page of a locked-out login.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [places.RESOURCES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.pages.context.course",
                "config.pages.context.held",
            ],
        },
    },
]

DATABASES = {
    "default": env.database("DATABASE_URL")
    | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False},
}
# A connection that is silent but not closed is given up after half a minute. By default the client
# would wait for hours. Options in the address override these.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
} | DATABASES["default"]["OPTIONS"]
# Redis holds only the queue between beat and workers, which may be lost.
REDIS_URL = env.redis_address("REDIS_URL")
# With this token other machines can read /metrics. If it is empty, only this machine can.
METRICS_TOKEN = env.secret("METRICS_TOKEN", default="")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
# Pages of learners are in the learner's language. Pages of staff are in English.
LANGUAGES = [
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("nl", "Nederlands"),
]
LOCALE_PATHS = [places.RESOURCES / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["config.pages.formats"]

STATIC_URL = "static/"
STATICFILES_DIRS = [places.RESOURCES / "static"]
# Static files are served from their source folders. With collectstatic, every page would fail until
# somebody runs it, even the unsubscribe page.
WHITENOISE_USE_FINDERS = True

AUTHENTICATION_BACKENDS = [
    # First, so that a locked-out login is not tried.
    "axes.backends.AxesStandaloneBackend",
    "config.staff.backends.StaffBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"

# The number of proxies that add the client's address to X-Forwarded-For. The default is 0, because
# any client can send this header.
TRUSTED_PROXIES = env.whole_number("TRUSTED_PROXIES", default=0)
AXES_HANDLER = "config.staff.lockout.TwoLimits"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
# The limit of failures with one name from one address. The name is not locked at other addresses,
# because anybody could lock out an admin by failing with the admin's name.
AXES_FAILURE_LIMIT = 5
# The limit of failures from one address with any names. It is higher, because a whole college may
# share an address.
ADDRESS_FAILURE_LIMIT = 50
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# A locked-out login does not count and does not make the wait longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "config.staff.lockout.client_address"
AXES_CLIENT_STR_CALLABLE = "config.staff.lockout.client_words"
AXES_LOCKOUT_CALLABLE = "config.staff.lockout.locked_out"
# No row per login, because the table would grow for ever. The user has the last login.
AXES_DISABLE_ACCESS_LOG = True
# A lock ends by itself, or by `manage.py axes_reset`.
AXES_ENABLE_ADMIN = False

CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_policy.OWN_PAGES}

EMAIL_HOST = env.text("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.whole_number("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=False)
# Longer than a slow mail server needs, and much shorter than the lease of a claimed delivery.
EMAIL_TIMEOUT = env.whole_number("EMAIL_TIMEOUT", default=20)
# Webhooks go to public addresses only. True allows an address of one's own network, and http.
WEBHOOKS_TO_PRIVATE_ADDRESSES = env.flag("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)
# The settings of django-anymail, such as keys of a provider's interface.
ANYMAIL = mail_webhooks.anymail_settings()
# The providers that report what becomes of messages, with their views.
EMAIL_WEBHOOKS = mail_webhooks.webhook_views(env.words("EMAIL_WEBHOOKS", default=[]))
SIGNED_EMAIL_WEBHOOKS = {name for name, each in mail_webhooks.PROVIDERS.items() if each.key}
# Whether links in messages lead through this site, which notes who followed them.
TRACK_CLICKS = env.flag("TRACK_CLICKS", default=False)
# Over so many connections at once a worker sends mail. If a worker is killed, at most as many
# messages are in doubt.
EMAIL_CONNECTIONS = env.whole_number("EMAIL_CONNECTIONS", default=8)
# All workers together send at most so many mails in a second. 0 is no limit.
EMAIL_PER_SECOND = env.whole_number("EMAIL_PER_SECOND", default=0)
# Reports of providers and uses of links are forgotten after so many days, at least 30. 0: never.
TRACKING_DAYS = env.whole_number("TRACKING_DAYS", default=180)
# In this folder the web server keeps opt-outs while the database is down. Workers that recover or
# dispatch must see the same folder.
KEPT_NOES_DIR = env.text("KEPT_NOES_DIR", default=str(VAR_DIR / "noes"))
# Messages that ended, and entries and leavings, move into the archive after so many days, at least
# 60. 0: never.
LEDGER_DAYS = env.whole_number("LEDGER_DAYS", default=400)
# The archive keeps traces and words of messages, and everything, for so many whole months. 0: for
# ever.
TRACE_MONTHS = env.whole_number("TRACE_MONTHS", default=0)
ARCHIVE_MONTHS = env.whole_number("ARCHIVE_MONTHS", default=0)
# A staging copy sends all mail to this address.
EMAIL_REDIRECT_TO = env.mail_address("EMAIL_REDIRECT_TO", default="")

# Following a learner's link acts for the learner, so the mailbox masks these links for staff. A
# local copy shows them.
STAFF_FOLLOW_LEARNER_LINKS = False

# The path of a function that recommends the next thing to learners. Without it the content mapping
# and the open module do.
RECOMMENDER = env.text("RECOMMENDER", default="")

# True only if `manage.py serve` may offer the login demo/demo.
DEMO_LOGIN = False

LOGGING_CONFIG = "config.running.logs.configure"
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="WARNING")
# One line per event on standard error, which the process manager collects.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # Django's own handlers print only with DEBUG, and mail errors to an empty list of admins.
    "loggers": {"django": {"handlers": [], "propagate": True}},
}

UNFOLD = navigation.look()

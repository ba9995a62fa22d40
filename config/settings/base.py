"""Settings that hold everywhere; local, test and production add to them."""

import zoneinfo
from datetime import timedelta
from pathlib import Path

from config import env
from config.pages import content_policy, navigation

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = BASE_DIR / "var"

# Only the pinned tzdata package is read. With the machine's own files first, the same course could
# have other midnights on two machines, and then other segments.
zoneinfo.reset_tzpath(to=())

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
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
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last: it puts the page of a locked-out login in the place of the login page.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.pages.context.held",
            ],
        },
    },
]

DATABASES = {
    "default": env.database("DATABASE_URL")
    | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False},
}
# A connection that goes silent without being closed is given up after half a minute; the client
# would wait for hours by default. What the address says itself goes before.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
} | DATABASES["default"]["OPTIONS"]
# Holds only what may vanish: the queue between beat and workers.
REDIS_URL = env.redis_address("REDIS_URL")
# Who knows it may read /metrics from another machine; empty: only this machine may.
METRICS_TOKEN = env.secret("METRICS_TOKEN", default="")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["config.pages.formats"]

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Static files are served from where they lie. With collectstatic, every page would be an error
# until somebody has run it, the unsubscribe page too.
WHITENOISE_USE_FINDERS = True

AUTHENTICATION_BACKENDS = [
    # First: a login that is locked out is not tried.
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

# How many proxies in front add the client's address to X-Forwarded-For. None is believed by itself:
# anybody can send that header.
TRUSTED_PROXIES = env.whole_number("TRUSTED_PROXIES", default=0)
AXES_HANDLER = "config.staff.lockout.TwoLimits"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
# Failures with one name from one address. The name is not locked elsewhere: else anybody could keep
# an admin out by failing under the admin's name.
AXES_FAILURE_LIMIT = 5
# Failures from one address under any names. Higher: a whole college may share an address.
ADDRESS_FAILURE_LIMIT = 50
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# A login that is not tried neither counts nor makes the wait longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "config.staff.lockout.client_address"
AXES_CLIENT_STR_CALLABLE = "config.staff.lockout.client_words"
AXES_LOCKOUT_CALLABLE = "config.staff.lockout.locked_out"
# Who logged in stands in the user's last login; a row for each would grow for ever.
AXES_DISABLE_ACCESS_LOG = True
# What is locked ends by itself, or by `manage.py axes_reset`.
AXES_ENABLE_ADMIN = False

CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_policy.OWN_PAGES}

EMAIL_HOST = env.text("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.whole_number("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=False)
# Longer than a slow mail server needs, far shorter than the lease of a claimed delivery.
EMAIL_TIMEOUT = env.whole_number("EMAIL_TIMEOUT", default=20)
# Here the web server keeps the noes that come while the database is away. A worker that recovers or
# sends has to see the same folder.
KEPT_NOES_DIR = env.text("KEPT_NOES_DIR", default=str(VAR_DIR / "noes"))
# Staging copies send everything to this one address.
EMAIL_REDIRECT_TO = env.mail_address("EMAIL_REDIRECT_TO", default="")

# What is confirmed behind a learner's link counts as the learner's word. The mailbox hides these
# links from staff, but on a copy on one's own machine, where there is only oneself.
STAFF_FOLLOW_LEARNER_LINKS = False

# True only where `manage.py serve` may offer the login demo/demo.
DEMO_LOGIN = False

LOGGING_CONFIG = "config.running.logs.configure"
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="WARNING")
# One line an event on standard error, where whatever runs the process collects it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # Django's own handlers print only while DEBUG is on and mail the rest to nobody.
    "loggers": {"django": {"handlers": [], "propagate": True}},
}

UNFOLD = navigation.look()

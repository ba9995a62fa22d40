"""Dates and times in the admin: on the 24-hour clock, with their zone."""

# Django looks these names up; the letters are those of its date filter.
DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i e"
TIME_FORMAT = "H:i"
SHORT_DATE_FORMAT = "Y-m-d"
SHORT_DATETIME_FORMAT = "Y-m-d H:i"

"""The admin's look and its menu, in the order of a course admin's work."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

GROUPS = {
    "Every day": {
        "Today": ("today", "today"),
        # With the messages, the menu would not fit a window 768 pixels high.
        "New nudge": ("campaign", "nudge"),
        "Tasks": ("checklist", "tasks"),
        "Reports": ("monitoring", "reports"),
        "Mailbox": ("mail", "mailbox"),
    },
    "Segments and members": {
        "Segments": ("group_work", "segmentation.segment"),
        "Playbooks": ("menu_book", "segmentation.playbook"),
        "Members": ("groups", "segmentation.membership"),
        "Entered and left": ("swap_horiz", "segmentation.transition"),
    },
    "Messages": {
        "Cadences": ("schedule_send", "interventions.cadence"),
        "Templates": ("article", "interventions.messagetemplate"),
        "Deliveries": ("outgoing_mail", "interventions.delivery"),
        "Forecast": ("calendar_month", "forecast"),
        "Deliverability": ("mark_email_read", "deliverability"),
    },
    # A group of their own, so that the menu fits a window 768 pixels high.
    "Limits on messages": {
        "Frequency caps": ("speed", "interventions.frequencycap"),
        "Quiet hours": ("bedtime", "interventions.quiethours"),
        "Holdouts": ("do_not_disturb_on", "interventions.holdout"),
        "Hold all messages": ("pause_circle", "interventions.sitepause"),
        # A category says which of these limits its messages keep to.
        "Categories": ("category", "interventions.category"),
    },
    "Experiments and arms": {
        "Experiments": ("science", "experiments.experiment"),
        "Assignments": ("call_split", "experiments.assignment"),
        "Exclusion layers": ("layers", "experiments.exclusionlayer"),
        "Strata": ("stacks", "experiments.stratum"),
        "Shares of adaptive draws": ("percent", "experiments.shareperiod"),
        "Ledger entries": ("link", "experiments.ledgerentry"),
    },
    "Courses and learners": {
        "Courses": ("school", "activity.course"),
        "Learners": ("person", "activity.learner"),
        "Enrollments": ("how_to_reg", "activity.enrollment"),
        "Events": ("timeline", "activity.event"),
        "Rejected events": ("report", "activity.rejectedevent"),
    },
    "Access and connections": {
        "Users": ("manage_accounts", "auth.user"),
        "Groups": ("shield_person", "auth.group"),
        "Course sites": ("web", "interventions.coursesite"),
        "Webhook endpoints": ("webhook", "interventions.webhookendpoint"),
    },
}
# The rights that pages of our own need. Any staff may open the others.
RIGHTS = {
    "nudge": "interventions.add_cadence",
    "tasks": "interventions.view_instructortask",
    "mailbox": "interventions.view_mailboxmessage",
    "forecast": "interventions.view_delivery",
    "deliverability": "interventions.view_delivery",
}
PAGES = {
    "today": "/",
    "nudge": "/nudges/new/",
    "tasks": "/tasks/",
    "reports": "/reports/",
    "mailbox": "/mailbox/",
    "forecast": "/forecast/",
    "deliverability": "/deliverability/",
}


def look() -> dict[str, Any]:
    """Return the settings of the admin's look."""
    return {
        "SITE_TITLE": "Nudgelab",
        "SITE_HEADER": "Nudgelab",
        "SITE_SYMBOL": "insights",
        "SITE_URL": "/",
        "SITE_FAVICONS": [
            {
                "rel": "icon",
                "type": "image/svg+xml",
                "href": lambda request: static("favicon.svg"),
            }
        ],
        "STYLES": [lambda request: static("admin.css")],
        "SCRIPTS": [lambda request: static("admin.js"), lambda request: static("kept.js")],
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
        "SIDEBAR": {
            # It searches only the names of tables. Each page has a search for learners.
            "show_search": False,
            # All other tables are listed here.
            "show_all_applications": True,
            "navigation": menu,
        },
    }


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of the menu, with the entries that the user may open.

    Unfold takes them as they are. If it were given the rights and the names of the pages, it would
    wrap and copy each of them for every page.
    """
    return [
        # Folded but for the page's own group, the menu fits a window 768 pixels high.
        {
            "title": title,
            "separator": True,
            "collapsible": True,
            "items": [
                _item(name, *entry, request=request)
                for name, entry in entries.items()
                if _may_see(entry[1], request)
            ],
        }
        for title, entries in GROUPS.items()
    ]


def _item(title: str, icon: str, target: str, *, request: HttpRequest) -> dict[str, Any]:
    if target in PAGES:
        # A page of our own has no such menu, and every address begins with that of the start page.
        return {"title": title, "icon": icon, "link": PAGES[target], "active": False}
    link = reverse(f"admin:{target.replace('.', '_')}_changelist")
    return {"title": title, "icon": icon, "link": link, "active": link in request.path}


def _may_see(target: str, request: HttpRequest) -> bool:
    if target in RIGHTS:
        return bool(request.user.has_perm(RIGHTS[target]))
    if target in PAGES:
        return bool(request.user.is_staff)
    app, model = target.split(".")
    return request.user.has_perm(f"{app}.view_{model}")

"""Give the site its first guards, where it has none."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from interventions.policy.guards import CAPS, CATEGORIES, QUIET_HOURS


def make_guards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create each missing kind of guard once. Guards that are deleted later stay deleted."""
    models: Any = {name: apps.get_model("interventions", name) for name in _KINDS}
    hours, caps, categories = (models[name].objects for name in _KINDS)
    if not hours.filter(course=None).exists():
        hours.create(**QUIET_HOURS)
    if not caps.filter(scope="everything", course=None).exists():
        caps.bulk_create(models["FrequencyCap"](**cap) for cap in CAPS)
    if not categories.exists():
        categories.bulk_create(models["Category"](**category) for category in CATEGORIES)


_KINDS = ("QuietHours", "FrequencyCap", "Category")


class Migration(migrations.Migration):
    dependencies = [("interventions", "0002_plain_sentences")]

    operations = [migrations.RunPython(make_guards, migrations.RunPython.noop)]

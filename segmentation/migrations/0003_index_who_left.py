"""Find past members of a segment without reading current members."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0002_index_what_waits_for_react")]

    operations = [
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(
                fields=["segment", "id"],
                condition=models.Q(("left_at__isnull", False)),
                name="membership_past_of_segment",
            ),
        ),
    ]

"""Links from pages of the admin to our own pages about the same row."""

from common.admin import PageLink
from interventions.admin.cadences import CadenceAdmin
from segmentation.admin.playbooks import PlaybookAdmin
from segmentation.admin.segments import SegmentAdmin

PlaybookAdmin.add_links(PageLink("In words", "playbook", "segmentation.view_playbook"))
SegmentAdmin.add_links(PageLink("Size and flows", "segment", "segmentation.view_segment"))
CadenceAdmin.add_links(
    PageLink("How far its learners came", "cadence-funnel", "interventions.view_delivery")
)

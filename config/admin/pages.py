"""Links from pages of the admin to our own pages about the same row."""

from common.admin import PageLink
from segmentation.admin.playbooks import PlaybookAdmin
from segmentation.admin.segments import SegmentAdmin

PlaybookAdmin.add_links(PageLink("In words", "playbook", "segmentation.view_playbook"))
SegmentAdmin.add_links(PageLink("Size and flows", "segment", "segmentation.view_segment"))

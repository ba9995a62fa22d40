"""Links from pages of the admin to our own pages about the same row."""

from common.admin import PageLink
from config.admin.courses import LiveCourseAdmin
from segmentation.admin.playbooks import PlaybookAdmin
from segmentation.admin.segments import SegmentAdmin

LiveCourseAdmin.add_links(PageLink("The course now", "course-home", "activity.view_course"))
PlaybookAdmin.add_links(PageLink("In words", "playbook", "segmentation.view_playbook"))
SegmentAdmin.add_links(PageLink("Size and flows", "segment", "segmentation.view_segment"))

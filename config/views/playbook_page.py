"""A playbook as one page, as Markdown and as YAML, and the import of its YAML."""

from functools import partial
from typing import cast

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from activity.access import viewable
from common.clock import utc_now
from config.documents.playbook import (
    playbook_document,
    separations_of,
    shown_courses,
)
from config.views.counting import count_for_file, counted
from segmentation.models import Playbook
from segmentation.operations import (
    EditedMeanwhileError,
    SegmentationError,
    apply_playbook_file,
    differences,
    playbook_file,
    state_of_differences,
)
from segmentation.playbook_file import PlaybookFile, PlaybookFileError, read_playbook

MOST_BYTES = 1_000_000


class _UploadError(Exception):
    """The uploaded file cannot be read. The message is a sentence."""


def _posted(request: HttpRequest) -> str:
    """Return the text of the chosen file, or the typed text."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        return request.POST.get("text", "")
    if (file.size or 0) > MOST_BYTES:
        raise _UploadError(f"The file is larger than {MOST_BYTES:,} bytes.")
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError:
        raise _UploadError("The file is not UTF-8 text.") from None


def _playbook(request: HttpRequest, playbook_id: int) -> Playbook:
    return get_object_or_404(viewable(Playbook.objects.all(), request.user), pk=playbook_id)


@never_cache
@require_safe
@staff_member_required
@permission_required("segmentation.view_playbook", raise_exception=True)
def playbook_page(request: HttpRequest, playbook_id: int) -> HttpResponse:
    """Show the playbook in words."""
    playbook = _playbook(request, playbook_id)
    courses = shown_courses(playbook, viewer=request.user)
    count = counted(request, courses, partial(separations_of, playbook, courses, now=utc_now()))
    document = playbook_document(playbook, count.found or {}, viewer=request.user)
    return render(request, "config/playbook.html", {"document": document, "count": count})


@never_cache
@require_safe
@staff_member_required
@permission_required("segmentation.view_playbook", raise_exception=True)
def playbook_markdown(request: HttpRequest, playbook_id: int) -> HttpResponse:
    """Return the document as Markdown."""
    playbook = _playbook(request, playbook_id)
    courses = shown_courses(playbook, viewer=request.user)
    count = partial(separations_of, playbook, courses, now=utc_now())
    apart, fault = count_for_file(request, courses, count)
    document = playbook_document(playbook, apart or {}, viewer=request.user)
    text = render_to_string("config/playbook.md", {"document": document, "fault": fault})
    return _download(text, f"{playbook.key}.md", "text/markdown")


@never_cache
@require_safe
@staff_member_required
@permission_required("segmentation.view_playbook", raise_exception=True)
def playbook_yaml(request: HttpRequest, playbook_id: int) -> HttpResponse:
    """Return the playbook's segments as YAML, which can be imported again."""
    playbook = _playbook(request, playbook_id)
    return _download(playbook_file(playbook), f"{playbook.key}.yaml", "application/yaml")


def _download(text: str, name: str, kind: str) -> HttpResponse:
    response = HttpResponse(text, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required(
    ("segmentation.change_segment", "segmentation.add_segment", "segmentation.change_playbook"),
    raise_exception=True,
)
def playbook_import(request: HttpRequest, playbook_id: int) -> HttpResponse:
    """Show what a file would change. With the button "apply", change it."""
    playbook = _playbook(request, playbook_id)
    shown: dict[str, object] = {"playbook": playbook, "text": request.POST.get("text", "")}
    if request.method == "POST":
        try:
            shown["text"] = _posted(request)
            file = read_playbook(str(shown["text"]))
            shown |= _checked(playbook, file)
            if "apply" in request.POST:
                return _applied(request, playbook, file)
        except EditedMeanwhileError as error:
            shown |= _checked(playbook, file) | {"meanwhile": str(error)}
        except (_UploadError, PlaybookFileError, SegmentationError) as error:
            shown["fault"] = str(error)
    return render(request, "config/playbook_import.html", shown)


def _checked(playbook: Playbook, file: PlaybookFile) -> dict[str, object]:
    found = differences(playbook, file)
    return {"differences": found, "seen": state_of_differences(found), "is_checked": True}


def _applied(request: HttpRequest, playbook: Playbook, file: PlaybookFile) -> HttpResponse:
    found = apply_playbook_file(
        playbook.pk,
        file,
        now=utc_now(),
        by=cast(User, request.user),
        seen=request.POST.get("seen", ""),
    )
    for each in found:
        messages.success(request, each.sentence)
    if not found:
        messages.info(request, "The file changes nothing.")
    return redirect("playbook", playbook.pk)

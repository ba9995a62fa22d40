"""A playbook as YAML: what is written can be read, and applying it twice changes nothing."""

from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.models import Playbook, Segment, SegmentStatus, Transition
from segmentation.operations import (
    SegmentationError,
    apply_playbook_file,
    archive_segment,
    differences,
    install_playbook,
    playbook_file,
)
from segmentation.playbook_file import (
    FileSegment,
    PlaybookFile,
    PlaybookFileError,
    read_playbook,
    write_playbook,
)
from tests.factories import NOW, make_course
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, where

SEGMENT = """
- key: quiet
  name: Quiet
  rule:
    combinator: and
    not: false
    rules: [{field: active_days, operator: '=', value: 0, window: 7}]
"""


def file(segments: str = SEGMENT, *, head: str = "key: p\nname: P\nmode: exclusive\n") -> str:
    return f"{head}segments:{segments}"


def fault(text: str) -> str:
    with pytest.raises(PlaybookFileError) as raised:
        read_playbook(text)
    return str(raised.value)


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(name=texts, description=texts, trait=texts, priority=st.integers(0, 10_000))
@pytest.mark.slow
def test_what_is_written_is_read_again(
    name: str, description: str, trait: str, priority: int
) -> None:
    rule = where("trait", "=", trait, key="región")
    segment = FileSegment("a-1", name, rule, ACTED_TODAY, priority, description)
    written = PlaybookFile("key", name, "overlapping", (segment,))

    assert read_playbook(write_playbook(written)) == written


def test_rule_stands_in_english_above_its_shape() -> None:
    found = write_playbook(
        PlaybookFile("p", "P", "exclusive", (FileSegment("a", "A", ACTED_TODAY, None),))
    )

    assert "  # Active on at least 1 of the last 1 day\n  rule:\n" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "This is not YAML"),
        ("just a text", "The file has no entries key, name, mode and segments."),
        (file(head="key: p\nname: no\nmode: exclusive\n"), "“name” must be a text"),
        (file(head="key: a b\nname: P\nmode: exclusive\n"), "“key” must have 1 to 100 letters"),
        (file(head="key: p\nname: P\nmode: some\n"), "“mode” must be overlapping or exclusive."),
        (file(head="key: p\nname: P\nmode: exclusive\nx: 1\n"), "has an entry “x”"),
        (file(SEGMENT * 2), "Two segments have the key “quiet”."),
        (file(SEGMENT.replace("name: Quiet", "color: red")), "has an entry “color”"),
        (file(SEGMENT.replace("  name: Quiet\n", "")), "Segment 1 (“quiet”) has no “name”."),
        (file(SEGMENT + "  name: Other\n"), "“name” stands twice"),
        (file(SEGMENT.replace("window: 7", "window: 4000")), "Segment 1 (“quiet”): “rule”"),
        (file(SEGMENT.replace("value: 0", "value: many")), "Segment 1 (“quiet”): “rule”"),
        (file(SEGMENT + "  priority: 1.5\n"), "“priority” must be a whole number"),
        (file(" 7"), "“segments” must be a list"),
        (file(SEGMENT.replace("name: Quiet", "name: &a Quiet\n  description: *a")), "no aliases"),
        (file(SEGMENT + "#" * 300_000), "longer than 300,000 characters"),
        ("[" * 5000, "nested too deeply"),
        (file(SEGMENT.replace("name: Quiet", "name: !!python/name:os.system x")), "not YAML"),
        (file(SEGMENT.replace("name: Quiet", "name: 2026-13-45")), "A value at line 6 cannot be"),
        (file(SEGMENT.replace("name: Quiet", "name: !!int many")), "A value at line 6 cannot be"),
        (file(SEGMENT.replace("name: Quiet", "name: !!bool maybe")), "A value at line 6 cannot be"),
        (file(SEGMENT.replace("name: Quiet", "name: " + "1" * 5000)), "A value at line 6 cannot"),
        (file(SEGMENT.replace("name: Quiet", "name: !!map text")), "not YAML"),
        (file(SEGMENT.replace("name: Quiet", "name: !!map [a, b]")), "not YAML"),
        (file(SEGMENT.replace("name: Quiet", "? [name]\n  : Quiet")), "not YAML"),
        (file(SEGMENT.replace("value: 0", "value: .nan")), "Segment 1 (“quiet”): “rule”"),
        (file(SEGMENT.replace("value: 0", "value: 2026-01-01")), "Segment 1 (“quiet”): “rule”"),
        (file(SEGMENT.replace("value: 0", "7: 0, value: 0")), "Segment 1 (“quiet”): “rule”"),
    ],
)
@pytest.mark.slow
def test_fault_is_a_sentence_that_names_the_place(text: str, said: str) -> None:
    assert said in fault(text)


@pytest.mark.slow
def test_file_with_many_entries_is_refused_at_once() -> None:
    # Comparing each of 30,000 keys with each other takes minutes.
    began = monotonic()

    assert "not known" in fault("".join(f"k{number}: 1\n" for number in range(30_000)))
    assert monotonic() - began < 30


@pytest.mark.parametrize(
    "text", ["a\u2028b", "a\x85b", "a\x0bb", "a\r\nb\r\n\r\nc", "a\n\n  b\n", "\x07"]
)
def test_unusual_line_breaks_are_read_again(text: str) -> None:
    rule = where("trait", "=", text, key="region")
    segment = FileSegment("a-1", "A", rule, None, 1, text)
    written = PlaybookFile("key", text, "overlapping", (segment,))

    assert read_playbook(write_playbook(written)) == written


@pytest.mark.django_db
def test_shipped_playbook_written_and_read_changes_nothing() -> None:
    playbook = install_playbook("five-segments", now=NOW)

    assert differences(playbook, read_playbook(playbook_file(playbook))) == []


def edited(playbook: Playbook, *changes: tuple[str, str]) -> PlaybookFile:
    text = playbook_file(playbook)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_playbook(text)


@pytest.mark.django_db
def test_file_changes_what_it_says_and_a_second_time_nothing() -> None:
    playbook = make_playbook(make_course(), key="p")
    old = make_segment(playbook, ACTED_TODAY, key="old", name="Old")
    other = make_segment(playbook, ACTED_TODAY, key="other", name="Other")
    wanted = edited(playbook, ("name: Old", "name: Renamed"), ("value: 1", "value: 0"))
    more = FileSegment("new", "New", ACTED_TODAY)
    wanted = PlaybookFile("p", "P2", "exclusive", (wanted.segments[0], more))

    found = apply_playbook_file(playbook.pk, wanted, now=NOW)

    assert [each.sentence for each in found][1:] == [
        (
            "The playbook becomes exclusive: each learner is in one of its segments at most, and"
            " leaves the others."
        ),
        "“Old” changes its name and its rule.",
        "“New” is new. It begins as a draft.",
    ]
    old.refresh_from_db()
    assert (old.name, old.version, old.status) == ("Renamed", 2, SegmentStatus.ACTIVE)
    assert Segment.objects.get(key="new").status == SegmentStatus.DRAFT
    assert Segment.objects.get(key="other").version == other.version
    playbook.refresh_from_db()
    assert (playbook.name, playbook.mode) == ("P2", "exclusive")
    assert apply_playbook_file(playbook.pk, wanted, now=NOW) == []
    assert not Transition.objects.exists()


@pytest.mark.django_db
def test_file_of_another_playbook_and_an_archived_segment_are_refused() -> None:
    playbook = make_playbook(make_course(), key="p")
    segment = make_segment(playbook, ACTED_TODAY, key="old", name="Old")
    wanted = edited(playbook, ("name: Old", "name: Renamed"))
    archive_segment(segment.pk, now=NOW)

    with pytest.raises(SegmentationError, match="archived"):
        apply_playbook_file(playbook.pk, wanted, now=NOW)
    other: Any = PlaybookFile("q", "Q", "exclusive", ())
    with pytest.raises(SegmentationError, match="of the playbook “q”"):
        apply_playbook_file(playbook.pk, other, now=NOW)
    assert Playbook.objects.get().name == playbook.name

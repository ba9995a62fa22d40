from collections.abc import Callable

import pytest

from config import env


def test_missing_required_variable_gives_a_sentence_on_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)

    with pytest.raises(env.SettingsError, match=r"^SECRET_KEY is not set. Set this environment"):
        env.text("SECRET_KEY")


def test_variable_of_only_spaces_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "  ")

    with pytest.raises(env.SettingsError, match="is not set"):
        env.text("SECRET_KEY")


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (lambda: env.flag("IT", default=False), "perhaps", "must be yes or no"),
        (lambda: env.whole_number("IT", default=1), "-3", "must be a whole number"),
        (lambda: env.whole_number("IT", default=1), "2.5", "must be a whole number"),
        *(
            (lambda: env.web_address("IT", hosts=["*"]), value, "must be an address like https")
            for value in (
                "courses.example.org",
                "ftp://example.org",
                "https://",
                "https://[::1",
                "https://example.org:port",
                "https://ana@example.org",
                "https://ana:secret@example.org",
                "https://example.org/?",
                "https://example.org/?course=1",
                "https://example.org/#top",
            )
        ),
        (lambda: env.mail_address("IT"), "courses", "must be a mail address"),
        (lambda: env.mail_address("IT"), "a b@example.org", "must be a mail address"),
        (lambda: env.mail_address("IT"), "Courses <>", "must be a mail address"),
        (lambda: env.choice("IT", ("A", "B"), default="A"), "C", "must be one of A, B"),
        (lambda: env.database("IT"), "sqlite:///file.db", "must be an address like postgresql"),
        (lambda: env.database("IT"), "postgresql://ana@host", "that ends in a database name"),
        (lambda: env.database("IT"), "postgresql://host:port/name", "like postgresql"),
        (lambda: env.redis_address("IT"), "http://localhost", "must be an address like redis"),
    ],
)
def test_wrong_value_is_named_with_the_expected_form(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, wanted: str
) -> None:
    monkeypatch.setenv("IT", value)

    with pytest.raises(env.SettingsError) as error:
        read()

    assert str(error.value).startswith("IT is ")
    assert wanted in str(error.value)
    assert str(error.value).endswith("Correct it and start again.")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), ("no", False)],
)
def test_flag_understands_the_usual_words(
    monkeypatch: pytest.MonkeyPatch, value: str, *, expected: bool
) -> None:
    monkeypatch.setenv("IT", value)

    assert env.flag("IT", default=not expected) is expected


def test_words_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT", "a.example.org, b.example.org,")

    assert env.words("IT") == ["a.example.org", "b.example.org"]


def test_trailing_slash_of_an_address_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT", "https://courses.example.org/")

    assert env.web_address("IT", hosts=["courses.example.org"]) == "https://courses.example.org"


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("https://courses.example.org", ["courses.example.org"]),
        ("https://Courses.Example.org:8443", ["www.example.org", "courses.example.org"]),
        ("https://courses.example.org/college", [".example.org"]),
        ("http://[::1]:8000", ["[::1]"]),
    ],
)
def test_address_at_one_of_the_hosts_is_accepted(
    monkeypatch: pytest.MonkeyPatch, value: str, hosts: list[str]
) -> None:
    monkeypatch.setenv("IT", value)

    assert env.web_address("IT", hosts=hosts) == value


@pytest.mark.parametrize("value", ["https://other.example.org", "https://example.org.evil.com"])
def test_address_at_a_host_that_does_not_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("IT", value)

    with pytest.raises(env.SettingsError, match=r"must be an address whose host is in ALLOWED_H"):
        env.web_address("IT", hosts=["example.org"])


@pytest.mark.parametrize("value", ["ana@example.org", "Ana B. <ana@example.org>"])
def test_mail_address_may_carry_a_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("IT", value)

    assert env.mail_address("IT") == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "postgresql://ana:p%40ss@db.example.org:5433/courses?sslmode=require",
            ("ana", "p@ss", "db.example.org", "5433", "courses", {"sslmode": "require"}),
        ),
        (
            "postgres://postgres@/nudgelab?host=/var/run/my%20socket",
            ("postgres", "", "/var/run/my socket", "", "nudgelab", {}),
        ),
        ("postgresql:///nudgelab", ("", "", "", "", "nudgelab", {})),
        ("postgresql://[::1]:5432/a%2Fb", ("", "", "::1", "5432", "a/b", {})),
        (
            "postgresql:///db?host=h&port=6000&user=u&password=p",
            ("u", "p", "h", "6000", "db", {}),
        ),
    ],
)
def test_database_address_is_read(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: tuple[object, ...]
) -> None:
    monkeypatch.setenv("IT", value)

    read = env.database("IT")

    names = ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")
    assert tuple(read[name] for name in names) == expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.database("IT"), "postgresql://ana:secret@host"),
        (lambda: env.web_address("IT", hosts=["*"]), "https://ana:secret@host"),
    ],
    ids=["database", "web"],
)
def test_sentence_about_a_wrong_address_hides_the_password(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str
) -> None:
    monkeypatch.setenv("IT", value)

    with pytest.raises(env.SettingsError) as error:
        read()

    assert "secret" not in str(error.value)

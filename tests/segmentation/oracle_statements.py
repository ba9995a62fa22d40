"""The signals of oracle_signals.py: for each a statement that gives student and value."""

# Signals over N days: the SQL gives student and value. A student who is missing has the default.
WINDOWED = {
    "active_days": (0, "SELECT student, count(*) FROM active WHERE day > $day - $n GROUP BY 1"),
    "content_views": (
        0,
        (
            "SELECT student, sum(n) FROM past WHERE day > $day - $n"
            " AND verb IN ('VIEW_ITEM', 'DOWNLOAD_RESOURCE') GROUP BY 1"
        ),
    ),
    "downloads": (
        0,
        (
            "SELECT student, sum(n) FROM past WHERE day > $day - $n AND verb = 'DOWNLOAD_RESOURCE'"
            " GROUP BY 1"
        ),
    ),
    "quiz_attempts": (
        0,
        (
            "SELECT student, sum(n) FROM past WHERE day > $day - $n AND verb = 'ATTEMPT_QUIZ'"
            " GROUP BY 1"
        ),
    ),
    "quiz_attempts_change": (
        0,
        (
            "SELECT student, sum(CASE WHEN day > $day - $n THEN n ELSE -n END) FROM past"
            " WHERE day > $day - 2 * $n AND verb = 'ATTEMPT_QUIZ' GROUP BY 1"
        ),
    ),
    "quiz_attempt_rate": (
        None,
        (
            "SELECT t.student, avg(CASE WHEN EXISTS"
            " (SELECT 1 FROM past p WHERE p.student = t.student"
            " AND p.unit = t.unit AND p.verb = 'ATTEMPT_QUIZ' AND p.day > $day - $n)"
            " THEN 1.0::DOUBLE ELSE 0 END) FROM touch t JOIN unit u USING (unit)"
            " WHERE t.last > $day - $n AND u.type = 'CMA' AND u.assigned <= $day"
            " AND u.due <= $day + 7"
            " GROUP BY 1"
        ),
    ),
    "quiz_pass_rate": (
        None,
        (
            "SELECT student, avg(CASE WHEN score >= 0.4 THEN 1.0::DOUBLE ELSE 0 END) FROM past"
            " WHERE day > $day - $n AND verb = 'ATTEMPT_QUIZ' AND score IS NOT NULL GROUP BY 1"
        ),
    ),
    "average_score": (
        None,
        (
            "SELECT student, avg(score) FROM past"
            " WHERE day > $day - $n AND verb = 'ATTEMPT_QUIZ' AND score IS NOT NULL GROUP BY 1"
        ),
    ),
    "modules_completed": (
        0,
        "SELECT student, count(*) FROM completion WHERE day > $day - $n GROUP BY 1",
    ),
    "activities_completed_rate": (
        None,
        (
            "SELECT s.student, avg(CASE WHEN d.student IS NULL THEN 0 ELSE 1.0::DOUBLE END)"
            " FROM scope s JOIN unit u ON u.due >= s.enrolled"
            " AND u.due BETWEEN $day - 2 - $n + 1 AND $day - 2"
            " AND EXISTS (SELECT 1 FROM done o WHERE o.unit = u.unit AND o.day < $day)"
            " LEFT JOIN done d ON d.student = s.student AND d.unit = u.unit GROUP BY 1"
        ),
    ),
    "modules_stalled": (
        0,
        (
            "SELECT t.student, count(*) FROM touch t JOIN unit u USING (unit)"
            " WHERE u.assigned <= $day AND t.last <= $day - $n AND NOT EXISTS"
            " (SELECT 1 FROM completion c"
            " WHERE c.student = t.student AND c.unit = t.unit) GROUP BY 1"
        ),
    ),
    "longest_gap_days": (
        None,
        (
            "SELECT student, max(next - day - 1) FROM (SELECT student, day, lead(day) OVER"
            " (PARTITION BY student ORDER BY day) AS next FROM ("
            " SELECT s.student, greatest($day - $n + 1, s.enrolled, 0) - 1 AS day FROM scope s"
            " UNION ALL SELECT s.student, $day + 1 FROM scope s"
            " UNION ALL SELECT a.student, a.day FROM active a JOIN scope s USING (student)"
            " WHERE a.day >= greatest($day - $n + 1, s.enrolled, 0)))"
            " WHERE next IS NOT NULL GROUP BY 1"
        ),
    ),
    "gap_deviation": (
        None,
        (
            "SELECT student, stddev_samp(gap) FROM (SELECT student, day - lag(day) OVER"
            " (PARTITION BY student ORDER BY day) AS gap FROM active WHERE day > $day - $n)"
            " GROUP BY 1 HAVING count(gap) >= 2"
        ),
    ),
    "resource_to_assessment_ratio": (
        None,
        (
            "SELECT student, coalesce(sum(n) FILTER (verb = 'DOWNLOAD_RESOURCE'), 0)::DOUBLE"
            " / sum(n) FILTER (verb = 'ATTEMPT_QUIZ') FROM past WHERE day > $day - $n GROUP BY 1"
        ),
    ),
    "event_count VIEW_ITEM kind=page": (
        0,
        (
            "SELECT student, sum(n) FROM past WHERE day > $day - $n AND verb = 'VIEW_ITEM'"
            " AND kind = 'page' GROUP BY 1"
        ),
    ),
    "event_count VIEW_ITEM item=unit": (
        0,
        (
            "SELECT student, sum(n) FROM past WHERE day > $day - $n AND verb = 'VIEW_ITEM'"
            " AND unit = (SELECT min(unit) FROM unit) GROUP BY 1"
        ),
    ),
    "sequence VIEW_ITEM COMPLETE_MODULE": (
        0,
        (
            "SELECT p.student, sum(n) FROM past p WHERE p.day > $day - $n AND p.verb = 'VIEW_ITEM'"
            " AND NOT EXISTS (SELECT 1 FROM past b WHERE b.student = p.student"
            " AND b.verb = 'COMPLETE_MODULE' AND b.seconds >= (SELECT min(f.seconds) FROM past f"
            " WHERE f.student = p.student AND f.verb = 'VIEW_ITEM' AND f.day > $day - $n))"
            " GROUP BY 1"
        ),
    ),
}
# Signals that may also count all days.
OF_ALL_DAYS = (
    "quiz_pass_rate", "average_score", "modules_completed", "activities_completed_rate",
    "event_count VIEW_ITEM kind=page", "event_count VIEW_ITEM item=unit",
)  # fmt: skip
_SINCE = (
    "SELECT s.student, ($now - greatest(max(p.seconds), any_value(s.began)))::DOUBLE / 86400"
    " FROM scope s LEFT JOIN {table} p ON p.student = s.student {only} GROUP BY 1"
)
# The q-th cut is the smallest value with at least q fifths of all at or below it.
_FIFTH = (
    "WITH before AS (SELECT {value} AS v FROM past WHERE day < $day GROUP BY student),"
    " ranked AS (SELECT v, count(*) OVER (ORDER BY v) AS below, count(*) OVER () AS n FROM before),"
    " cut AS (SELECT min(v) AS at FROM ranked, generate_series(1, 4) AS g(q)"
    " WHERE 5 * below >= q * n GROUP BY q),"
    " own AS (SELECT student, {value} AS v FROM past GROUP BY student)"
    " SELECT s.student, 1 + (SELECT count(*) FROM cut WHERE o.v > cut.at) FROM scope s"
    " LEFT JOIN own o USING (student) WHERE EXISTS (SELECT 1 FROM cut)"
)
PLAIN = {
    "completion_rate": (
        None,
        (
            "SELECT s.student, avg(CASE WHEN c.student IS NULL THEN 0 ELSE 1.0::DOUBLE END)"
            " FROM scope s JOIN unit u ON u.assigned <= $day"
            " LEFT JOIN completion c ON c.student = s.student AND c.unit = u.unit GROUP BY 1"
        ),
    ),
    "activities_overdue": (
        0,
        (
            "SELECT s.student, count(*) FROM scope s JOIN unit u ON u.due >= s.enrolled"
            " AND u.due <= $day - 2"
            " AND EXISTS (SELECT 1 FROM done o WHERE o.unit = u.unit AND o.day < $day)"
            " WHERE NOT EXISTS"
            " (SELECT 1 FROM done d WHERE d.student = s.student AND d.unit = u.unit)"
            " GROUP BY 1"
        ),
    ),
    "modules_open": (
        0,
        (
            "SELECT s.student, count(*) FROM scope s JOIN unit u ON u.assigned <= $day"
            " AND $day <= u.due + 14 WHERE NOT EXISTS (SELECT 1 FROM completion c"
            " WHERE c.student = s.student AND c.unit = u.unit) GROUP BY 1"
        ),
    ),
    "streak_days": (
        0,
        (
            "SELECT student, count(*) FROM (SELECT student, day, max(day) OVER w AS newest,"
            " row_number() OVER (PARTITION BY student ORDER BY day DESC) AS place FROM active"
            " WINDOW w AS (PARTITION BY student)) WHERE newest >= $day - 1"
            " AND day = newest - place + 1 GROUP BY 1"
        ),
    ),
    "pace_percentile": (
        None,
        (
            "SELECT p.student, (count(o.before) FILTER (o.before < p.now)"
            " + count(o.before) FILTER (o.before = p.now AND o.student <> p.student) / 2)"
            " / count(o.before)::DOUBLE FROM pace p CROSS JOIN pace o"
            " WHERE p.now IS NOT NULL AND (SELECT 2 * max(many) <= sum(many) FROM (SELECT count(*)"
            " AS many FROM pace WHERE before IS NOT NULL GROUP BY before))"
            " GROUP BY p.student, p.now"
        ),
    ),
    "days_since_activity": (None, _SINCE.format(table="past", only="")),
    "days_since_quiz_attempt": (
        None,
        _SINCE.format(table="past", only="AND p.verb = 'ATTEMPT_QUIZ'"),
    ),
    "days_since_completion": (None, _SINCE.format(table="completion", only="")),
    "days_since_event SUBMIT_ASSIGNMENT": (
        None,
        _SINCE.format(table="past", only="AND p.verb = 'SUBMIT_ASSIGNMENT'"),
    ),
    "days_since_first_event VIEW_ITEM": (
        None,
        (
            "SELECT student, ($now - min(seconds))::DOUBLE / 86400 FROM past"
            " WHERE verb = 'VIEW_ITEM'"
            " GROUP BY 1"
        ),
    ),
    "days_enrolled": (None, "SELECT student, ($now - began)::DOUBLE / 86400 FROM scope"),
    "recency_score": (None, _FIFTH.format(value="max(seconds)")),
    "frequency_score": (None, _FIFTH.format(value="sum(n)")),
    "trait num_of_prev_attempts": (None, "SELECT student, attempts FROM scope"),
}

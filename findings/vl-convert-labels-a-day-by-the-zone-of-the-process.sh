#!/usr/bin/env bash
# vl-convert-python 1.9.0.post1 with altair 6.3.0: a day written as 2025-03-10 in a temporal field is
# midnight in UTC, but axis, labels and tooltips are in the zone of the process (TZ). On a server in
# New York the point of March 10 is labelled March 9, 20:00, and the tick of March 12 is missing. In
# Tokyo it is 09:00 of the right day. The same chart is right only where TZ is UTC, as in most tests.
# Result: three zones, three different drawings of the same specification.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  altair==6.3.0 vl-convert-python==1.9.0.post1
cat > "$folder/draw.py" <<'PY'
import re

import altair as alt
import vl_convert

days = (10, 11, 12)
rows = [{"day": f"2025-03-{day}", "number": day} for day in days]
ticks = [{"year": 2025, "month": 3, "date": day} for day in days]
x = alt.X("day:T", axis=alt.Axis(format="%b %d %H:%M", values=ticks))
chart = alt.Chart(alt.InlineData(values=rows)).mark_point().encode(x=x, y="number:Q")
svg = vl_convert.vegalite_to_svg(chart.to_dict())
print("points:", *re.findall(r'aria-label="day: ([^;]*);', svg), sep=" | ")
print("ticks:", *re.findall(r">(Mar [^<]*)<", svg), sep=" | ")
PY
seen=""
for zone in UTC America/New_York Asia/Tokyo; do
  said=$(TZ=$zone "$folder/venv/bin/python" "$folder/draw.py")
  printf '%s\n%s\n' "$zone" "$said"
  seen+="$said"$'\n'
done
[ "$seen" = "points: | Mar 10 00:00 | Mar 11 00:00 | Mar 12 00:00
ticks: | Mar 10 00:00 | Mar 11 00:00 | Mar 12 00:00
points: | Mar 09 20:00 | Mar 10 20:00 | Mar 11 20:00
ticks: | Mar 10 00:00 | Mar 11 00:00
points: | Mar 10 09:00 | Mar 11 09:00 | Mar 12 09:00
ticks: | Mar 11 00:00 | Mar 12 00:00
" ]

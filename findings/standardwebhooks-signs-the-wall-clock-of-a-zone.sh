#!/usr/bin/env bash
# standardwebhooks 1.1.0: `Webhook.sign` takes an aware datetime and signs its wall clock as if it were
# UTC. For one instant written at +05:00 it signs a time five hours later. A sender that writes the
# right Unix time into the header `webhook-timestamp` sends a signature that its own library refuses,
# for every zone but UTC. A naive or a UTC time is signed as expected.
# Result: the same instant in UTC is verified, at +05:00 "No matching signature found".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check standardwebhooks==1.1.0
"$folder/venv/bin/python" - <<'PY'
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

BODY = '{"course": "statistics"}'
hook = Webhook("whsec_" + "bnVkZ2VsYWItdGVzdC1zZWNyZXQtMTIzNDU2")
now = datetime.now(timezone.utc).replace(microsecond=0)


def verified(signed_at):
    """Return whether the receiver accepts a message that was signed at this writing of now."""
    headers = {
        "webhook-id": "message-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": hook.sign("message-1", signed_at, BODY),
    }
    try:
        hook.verify(BODY, headers)
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


ahead = now.astimezone(timezone(timedelta(hours=5)))
assert ahead == now
print("UTC:", verified(now))
print("the same instant at +05:00:", verified(ahead))
assert verified(now) == "verified"
assert verified(ahead) == "No matching signature found"
# The signature is that of an instant five hours later.
assert hook.sign("m", ahead, BODY) == hook.sign("m", now + timedelta(hours=5), BODY)
PY

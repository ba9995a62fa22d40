"""Reports of providers in the form in which each of them sends its own.

The forms follow the public documentation of the providers and what anymail reads.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from config.mail_webhooks import PROVIDERS

PASSWORD = "correct-horse-battery-staple"
LOGIN = f"hook:{PASSWORD}"
KEY = "a-key-that-only-the-provider-and-we-know"
SECRETS = {
    "WEBHOOK_SECRET": LOGIN,
    "MAILGUN_WEBHOOK_SIGNING_KEY": KEY,
    "MAILERSEND_SIGNING_SECRET": KEY,
    "MAILTRAP_TRACKING_SECRET": KEY,
    "MANDRILL_WEBHOOK_KEY": KEY,
    "UNISENDER_GO_API_KEY": KEY,
}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
LINK = "https://course.example.org/module-3?a=1&b=2"
VIEWS = {name: each.view for name, each in PROVIDERS.items()}


@dataclass(frozen=True)
class Said:
    """What a provider says: a kind, the message by the provider's id, to whom and when."""

    kind: str
    message_id: str
    recipient: str
    at: datetime
    link: str = LINK
    user_agent: str = BROWSER


@dataclass(frozen=True)
class Post:
    """A request: its body, content type and headers."""

    body: bytes
    content_type: str
    headers: dict[str, str]


Writer = Callable[[Said], Post]


def _json(shape: Any, **headers: str) -> Post:
    return Post(json.dumps(shape).encode(), "application/json", headers)


def _login() -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(LOGIN.encode()).decode()}"}


def _hmac(body: bytes, digest: str = "sha256") -> str:
    return hmac.new(KEY.encode(), body, digest).hexdigest()


def postmark(said: Said) -> Post:
    at = said.at.isoformat()
    common = {"MessageID": said.message_id, "MessageStream": "outbound", "Metadata": {}}
    shapes = {
        "delivered": {"RecordType": "Delivery", "Recipient": said.recipient, "DeliveredAt": at},
        "hard": {
            "RecordType": "Bounce",
            "ID": 4323372036854775807,
            "Type": "HardBounce",
            "TypeCode": 1,
            "Email": said.recipient,
            "BouncedAt": at,
            "Details": "smtp;550 5.1.1 no such user",
        },
        "soft": {
            "RecordType": "Bounce",
            "ID": 4323372036854775808,
            "Type": "SoftBounce",
            "Email": said.recipient,
            "BouncedAt": at,
        },
        "complained": {
            "RecordType": "SpamComplaint",
            "ID": 42,
            "Type": "SpamComplaint",
            "Email": said.recipient,
            "BouncedAt": at,
        },
        "unsubscribed": {
            "RecordType": "SubscriptionChange",
            "Recipient": said.recipient,
            "ChangedAt": at,
            "SuppressSending": True,
            "SuppressionReason": "ManualSuppression",
        },
        "opened": {
            "RecordType": "Open",
            "FirstOpen": True,
            "Recipient": said.recipient,
            "ReceivedAt": at,
            "UserAgent": said.user_agent,
        },
        "clicked": {
            "RecordType": "Click",
            "Recipient": said.recipient,
            "ReceivedAt": at,
            "OriginalLink": said.link,
            "UserAgent": said.user_agent,
        },
    }
    return _json(common | shapes[said.kind], **_login())


def mailgun(said: Said) -> Post:
    names = {"hard": "failed", "soft": "failed"}
    event: dict[str, Any] = {
        "event": names.get(said.kind, said.kind),
        "timestamp": said.at.timestamp(),
        "id": "Ase7i2zsRYeDXztHGENqRA",
        "recipient": said.recipient,
        "message": {"headers": {"message-id": said.message_id.strip("<>")}},
        "user-variables": {},
        "client-info": {"user-agent": said.user_agent, "bot": ""},
    }
    if said.kind == "clicked":
        event["url"] = said.link
    if said.kind in names:
        code = "5.1.1" if said.kind == "hard" else "5.2.2"
        event |= {"severity": "permanent", "reason": "bounce"}
        event["delivery-status"] = {"code": 550, "message": f"550 {code} sorry", "description": ""}
    stamp, token = str(int(said.at.timestamp())), "50 characters of randomness"
    signature = _hmac(f"{stamp}{token}".encode())
    signed = {"timestamp": stamp, "token": token, "signature": signature}
    return _json({"signature": signed, "event-data": event})


def sendgrid(said: Said) -> Post:
    names = {"complained": "spamreport", "unsubscribed": "unsubscribe", "opened": "open"}
    names |= {"clicked": "click", "hard": "bounce", "soft": "bounce"}
    event = {
        "email": said.recipient,
        "timestamp": int(said.at.timestamp()),
        "event": names.get(said.kind, said.kind),
        "sg_event_id": "ZGVsaXZlcmVkLTA",
        "anymail_id": said.message_id,
        "useragent": said.user_agent,
    }
    if said.kind in ("hard", "soft"):
        event["type"] = "bounce" if said.kind == "hard" else "blocked"
        event["reason"] = "550 sorry"
    if said.kind == "clicked":
        event["url"] = said.link
    return _json([event], **_login())


def brevo(said: Said) -> Post:
    names = {"hard": "hard_bounce", "soft": "soft_bounce", "complained": "spam"}
    names |= {"unsubscribed": "unsubscribe", "opened": "unique_opened", "clicked": "click"}
    event = {
        "event": names.get(said.kind, said.kind),
        "email": said.recipient,
        "id": 26224,
        "message-id": said.message_id,
        "ts_epoch": int(said.at.timestamp() * 1000),
    }
    if said.kind == "clicked":
        event["link"] = said.link
    return _json(event, **_login())


def mailjet(said: Said) -> Post:
    names = {"delivered": "sent", "hard": "bounce", "soft": "bounce", "complained": "spam"}
    names |= {"unsubscribed": "unsub", "opened": "open", "clicked": "click"}
    event = {
        "event": names[said.kind],
        "time": int(said.at.timestamp()),
        "MessageID": int(said.message_id),
        "email": said.recipient,
        "agent": said.user_agent,
    }
    if said.kind in ("hard", "soft"):
        event |= {"hard_bounce": said.kind == "hard", "error": "user unknown"}
    if said.kind == "clicked":
        event["url"] = said.link
    return _json([event], **_login())


def mandrill(said: Said) -> Post:
    names = {"delivered": "send", "hard": "hard_bounce", "soft": "soft_bounce"}
    names |= {"complained": "spam", "unsubscribed": "unsub", "opened": "open", "clicked": "click"}
    event = {
        "event": names[said.kind],
        "_id": said.message_id,
        "ts": int(said.at.timestamp()),
        "msg": {"_id": said.message_id, "email": said.recipient, "metadata": {}},
        "user_agent": said.user_agent,
    }
    if said.kind == "clicked":
        event["url"] = said.link
    events = json.dumps([event])
    signed = f"http://testserver/webhooks/email/mandrill/mandrill_events{events}"
    digest = hmac.new(KEY.encode(), signed.encode(), hashlib.sha1).digest()
    return Post(
        urlencode({"mandrill_events": events}).encode(),
        "application/x-www-form-urlencoded",
        {"X-Mandrill-Signature": base64.b64encode(digest).decode()},
    )


def sparkpost(said: Said) -> Post:
    names = {"delivered": "delivery", "hard": "bounce", "soft": "bounce"}
    names |= {"complained": "spam_complaint", "unsubscribed": "list_unsubscribe"}
    names |= {"opened": "open", "clicked": "click"}
    group = "track_event" if said.kind in ("opened", "clicked") else "message_event"
    event = {
        "type": names[said.kind],
        "event_id": "92356927693813856",
        "timestamp": str(int(said.at.timestamp())),
        "transmission_id": said.message_id,
        "raw_rcpt_to": said.recipient,
        "user_agent": said.user_agent,
    }
    if said.kind in ("hard", "soft"):
        event |= {"bounce_class": "10" if said.kind == "hard" else "22", "raw_reason": "550 sorry"}
    if said.kind == "clicked":
        event["target_link_url"] = said.link
    return _json([{"msys": {group: event}}], **_login())


def mailersend(said: Said) -> Post:
    names = {"hard": "hard_bounced", "soft": "soft_bounced", "complained": "spam_complaint"}
    name = names.get(said.kind, said.kind)
    data = {
        "id": "62fb66bef54a112e920b5493",
        "type": name,
        "created_at": said.at.isoformat(),
        "email": {"message": {"id": said.message_id}, "recipient": {"email": said.recipient}},
        "morph": {"object": "click", "url": said.link} if said.kind == "clicked" else None,
    }
    post = _json({"type": f"activity.{name}", "data": data})
    return Post(post.body, post.content_type, {"Signature": _hmac(post.body)})


def mailtrap(said: Said) -> Post:
    names = {"delivered": "delivery", "hard": "bounce", "complained": "spam"}
    names |= {"unsubscribed": "unsubscribe", "opened": "open", "clicked": "click"}
    event = {
        "event": names[said.kind],
        "message_id": said.message_id,
        "email": said.recipient,
        "timestamp": int(said.at.timestamp()),
        "event_id": "1b8c7c1e-4b3e-4f0e-9a3c-9b9b9b9b9b9b",
        "user_agent": said.user_agent,
    }
    if said.kind == "clicked":
        event["url"] = said.link
    post = _json({"events": [event]})
    return Post(post.body, post.content_type, {"Mailtrap-Signature": _hmac(post.body)})


def resend(said: Said) -> Post:
    data: dict[str, Any] = {"email_id": said.message_id, "to": [said.recipient], "headers": []}
    name = {"hard": "bounced", "soft": "bounced"}.get(said.kind, said.kind)
    if said.kind in ("hard", "soft"):
        kind = "Permanent" if said.kind == "hard" else "Transient"
        data["bounce"] = {"type": kind, "subType": "General", "message": "a bounce message"}
    if said.kind == "clicked":
        data["click"] = {"link": said.link, "userAgent": said.user_agent}
    at = said.at.isoformat()
    return _json({"type": f"email.{name}", "created_at": at, "data": data}, **_login())


def amazon_ses(said: Said) -> Post:
    people = [{"emailAddress": said.recipient}]
    shapes: dict[str, tuple[str, dict[str, Any]]] = {
        "delivered": ("Delivery", {"recipients": [said.recipient], "smtpResponse": "250 ok"}),
        "hard": ("Bounce", _ses_bounce("Permanent", people)),
        "soft": ("Bounce", _ses_bounce("Transient", people)),
        "complained": ("Complaint", _ses_complaint("abuse", people)),
        "praised": ("Complaint", _ses_complaint("not-spam", people)),
        "opened": ("Open", {"userAgent": said.user_agent}),
        "clicked": ("Click", {"userAgent": said.user_agent, "link": said.link}),
    }
    name, inside = shapes[said.kind]
    mail = {"messageId": said.message_id, "destination": [said.recipient], "headers": []}
    message = {"eventType": name, "mail": mail, name.lower(): inside}
    number = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
    notification = {
        "Type": "Notification",
        "MessageId": number,
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mail",
        "Message": json.dumps(message),
        "Timestamp": said.at.isoformat(),
    }
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": number}
    return _json(notification, **headers, **_login())


def _ses_bounce(kind: str, people: list[dict[str, str]]) -> dict[str, Any]:
    return {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": people}


def _ses_complaint(kind: str, people: list[dict[str, str]]) -> dict[str, Any]:
    return {"complaintFeedbackType": kind, "complainedRecipients": people, "userAgent": ""}


def unisender_go(said: Said) -> Post:
    names = {"hard": "hard_bounced", "complained": "spam"}
    event = {
        "event_name": "transactional_email_status",
        "event_data": {
            "job_id": said.message_id,
            "email": said.recipient,
            "status": names.get(said.kind, said.kind),
            # Without a zone. The documentation says that it is UTC.
            "event_time": f"{said.at:%Y-%m-%d %H:%M:%S}",
            "url": said.link if said.kind == "clicked" else None,
            "delivery_info": {"user_agent": said.user_agent},
        },
    }
    shape = {"auth": KEY, "events_by_user": [{"user_id": 1, "events": [event]}]}
    unsigned = json.dumps(shape)
    digest = hashlib.md5(unsigned.encode()).hexdigest()
    return Post(unsigned.replace(KEY, digest).encode(), "application/json", {})


WRITERS: dict[str, Writer] = {
    "amazon_ses": amazon_ses,
    "brevo": brevo,
    "mailersend": mailersend,
    "mailgun": mailgun,
    "mailjet": mailjet,
    "mailtrap": mailtrap,
    "mandrill": mandrill,
    "postmark": postmark,
    "resend": resend,
    "sendgrid": sendgrid,
    "sparkpost": sparkpost,
    "unisender_go": unisender_go,
}
# What a provider never says by a webhook of its own.
SILENT = {
    ("amazon_ses", "unsubscribed"),
    ("mailtrap", "soft"),
    ("resend", "unsubscribed"),
    ("unisender_go", "soft"),
}

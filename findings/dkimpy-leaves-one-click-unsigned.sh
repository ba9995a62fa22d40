#!/usr/bin/env bash
# dkimpy 1.1.8: a signature with its default headers covers List-Unsubscribe but not
# List-Unsubscribe-Post. RFC 8058 (section 4) asks that both are covered, or a mailbox should not
# offer one-click unsubscribe. Both headers are in the mail and the signature is valid, so nothing
# tells the sender. The list of defaults knows six other List headers.
# Result: by default h= has list-unsubscribe only; with the header added to the defaults it has both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dkimpy==1.1.8 cryptography==50.0.2
"$folder/venv/bin/python" - <<'PY'
import base64
import re

import dkim
from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric import rsa

MAIL = b"""From: course@example.org
To: learner@example.org
Subject: Week 2
Date: Mon, 02 Nov 2026 08:00:00 +0000
Message-ID: <1@example.org>
List-Unsubscribe: <https://example.org/out/1>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Hello
""".replace(b"\n", b"\r\n")
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
private = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.TraditionalOpenSSL, to.NoEncryption())
public = key.public_key().public_bytes(to.Encoding.DER, to.PublicFormat.SubjectPublicKeyInfo)
record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def covered(names=None):
    """Return the List headers that a signature covers, and whether it is valid."""
    header = dkim.DKIM(MAIL).sign(b"s", b"example.org", private, include_headers=names)
    valid = dkim.verify(header + MAIL, dnsfunc=lambda name, timeout=5: record)
    signed = re.sub(rb"\s", b"", header).split(b";h=")[1].split(b";")[0].lower().split(b":")
    return sorted({name.decode() for name in signed if name.startswith(b"list-")}), valid


default = covered()
named = covered([*dkim.DKIM(MAIL).default_sign_headers(), b"List-Unsubscribe-Post"])
print("by default:", *default)
print("with it named:", *named)
assert default == (["list-unsubscribe"], True)
assert named == (["list-unsubscribe", "list-unsubscribe-post"], True)
PY

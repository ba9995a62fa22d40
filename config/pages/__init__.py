"""Parts that all pages share: menu, look, date formats, content policy and busy answers."""

"""What all pages of the site share: menu, look, formats of dates, and answers to a browser."""

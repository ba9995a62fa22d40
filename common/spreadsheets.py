"""Texts in CSV files that a spreadsheet may open."""

from dataclasses import dataclass

# A spreadsheet runs a text that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
NOT_FOR_SPREADSHEETS = (
    "{count:,} texts in the file begin like a formula. Do not open it in a spreadsheet; write it"
    " again with --for-spreadsheet."
)
FOR_SPREADSHEET_HELP = "put an apostrophe before each text that would run as a formula"


@dataclass
class Texts:
    """Writes texts to a file, and counts those that a spreadsheet would run as formulas."""

    marks: bool
    formulas: int = 0

    def cell(self, text: str) -> str:
        """Return the text. If `marks` is set, put an apostrophe before a formula."""
        if not text.startswith(FORMULA):
            return text
        self.formulas += 1
        return f"'{text}" if self.marks else text

    @property
    def warning(self) -> str:
        """Return the warning about the file, or an empty text if it has no formulas."""
        if self.marks or not self.formulas:
            return ""
        return NOT_FOR_SPREADSHEETS.format(count=self.formulas)

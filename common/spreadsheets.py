"""Texts in CSV files that a spreadsheet may open."""

from dataclasses import dataclass

# What a spreadsheet takes for the beginning of a formula, and then runs.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
NOT_FOR_SPREADSHEETS = (
    "{count:,} texts in it begin as a formula does: do not open it in a spreadsheet, but write it"
    " again with --for-spreadsheet."
)
FOR_SPREADSHEET_HELP = "put an apostrophe before each text that would run as a formula"


@dataclass
class Texts:
    """How texts are written, and how many so far are formulas to a spreadsheet."""

    marks: bool
    formulas: int = 0

    def cell(self, text: str) -> str:
        """Return the text as it is; if `marks` is set, a formula with an apostrophe before it."""
        if not text.startswith(FORMULA):
            return text
        self.formulas += 1
        return f"'{text}" if self.marks else text

    @property
    def warning(self) -> str:
        """Return what to say of the file; nothing where a spreadsheet would run nothing."""
        if self.marks or not self.formulas:
            return ""
        return NOT_FOR_SPREADSHEETS.format(count=self.formulas)

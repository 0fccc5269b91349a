"""What a command ends with beside 0, 1 (an error) and 2 (asked in a wrong way)."""

EXIT_INCOMPLETE = 3
"""Something was left out, and said; all else is done."""
EXIT_NOTHING_FOUND = 4

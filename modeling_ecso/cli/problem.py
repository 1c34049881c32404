"""The one exception that the command line shows to the user."""


class Problem(Exception):
    """Something the user can mend: one line that says what is wrong and what to do."""

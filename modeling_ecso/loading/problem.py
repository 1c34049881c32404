"""What the user can mend, said in one line: the one exception that commands show."""


class Problem(Exception):
    """Something the user can mend: one line that says what is wrong and what to do."""

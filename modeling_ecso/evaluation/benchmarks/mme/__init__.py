"""MME: yes-or-no questions on perception and cognition."""

"""From the declarative files in ``configuration/`` to what is published on the Hub."""

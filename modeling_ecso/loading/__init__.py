"""Models and pictures by the names that users type, and the one-line problems with them."""

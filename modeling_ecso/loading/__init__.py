"""Models and images by the names that users type, and the one-line problems with them."""

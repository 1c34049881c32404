"""Models and images by the names that users type, and one-line errors about them."""

"""SIUO: queries and images that are harmless apart, and not together."""

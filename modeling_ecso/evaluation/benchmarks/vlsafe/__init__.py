"""VLSafe: harmful queries about harmless images."""

"""The gateway: the protocol over HTTP, in front of any OpenAI-compatible server. Needs no torch."""

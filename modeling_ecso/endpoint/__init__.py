"""The protocol over any chat API. Needs no torch.

`EndpointRun` is the driver: it asks a `ModelServer` what the protocol wants asked.
"""

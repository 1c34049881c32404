"""The protocol in front of any OpenAI-compatible endpoint: driver and gateway. Needs no torch.

The driver is `EndpointRun`: it asks an `Upstream` what the protocol wants asked. The gateway,
`build_app`, is a web application around it.
"""

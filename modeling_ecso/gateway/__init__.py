"""The gateway: the protocol over HTTP, in front of any OpenAI-compatible server. Needs no torch.

A request goes through `app` (the table of routes), `answer_route`, `requests` and `images` (what
was asked), `answers` (the protocol's runs, see `modeling_ecso.endpoint`) and `delivery`. The
`responses_*` modules say the same in the words of the responses API. The rest holds what these use:
`config`, `context`, `keys`, `limits`, `errors`, `health`, `metrics`.
"""

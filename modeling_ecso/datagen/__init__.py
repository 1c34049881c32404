"""The data engine: pairs that a model answers unsafely become fine-tuning data for it.

Covered: answers that the protocol wrote with eyes closed and that the model then judged safe.
Not covered: whether they are good answers; harm that the model does not recognise.

Source: arXiv 2403.09572, section 5 (ECSO as a data engine).
"""

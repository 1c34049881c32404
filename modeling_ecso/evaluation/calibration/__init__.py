"""`ecso calibrate`: at which threshold, what it finds, and what it costs benign traffic.

    pairs → `drawing` → scores → `threshold` (which one) and `curves` → `Calibration` → advice

What is measured is p(unsafe) of the model's own drafts, each drawn once; no draft is kept.
"""

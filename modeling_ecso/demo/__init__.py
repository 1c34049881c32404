"""The demo: a page in the browser that shows the four steps as they happen.

The one place that can show an unsafe draft: while its "show the draft" switch is on, a run is made
with ``keep_draft=True``. While it is off, no draft reaches the browser, in whatever form.
"""

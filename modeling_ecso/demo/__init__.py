"""The demo: a page in the browser that shows the four steps as they happen.

The one place that can show an unsafe draft and a caption: while its "show withheld texts" switch is
on, a run is made with ``keep_draft`` and ``keep_caption``. While it is off, neither reaches the
browser, in whatever form.
"""

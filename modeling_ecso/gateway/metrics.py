"""What the gateway counts, for Prometheus. Numbers and fixed words alone, never texts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..endpoint.model_server import ModelServerError
from ..endpoint.run import EndpointRun
from ..events_ecso import Outcome, Step, StepEvent


# The label of what needs no reason: the model's own answer, or a client that left.
NO_REASON = "none"
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one gateway."""

    def __init__(self) -> None:
        """Start at nought."""
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "ecso_requests",
            "Requests by HTTP status (499: the client left) and reason",
            ["status", "reason"],
            registry=registry,
        )
        self.running = Gauge("ecso_requests_running", "Requests in work", registry=registry)
        self.request_seconds = Histogram(
            "ecso_request_seconds", "Time of a request", buckets=_SECONDS, registry=registry
        )
        self._answers = Counter(
            "ecso_answers",
            "Answers by whose text they are, and why",
            ["outcome", "reason"],
            registry=registry,
        )
        self._would_be = Counter(
            "ecso_would_be_answers",
            "With --mode observe, answers by what they would have been, and why",
            ["outcome", "reason"],
            registry=registry,
        )
        self.observing = Gauge(
            "ecso_observing", "1: drafts are let through, nothing is protected", registry=registry
        )
        self.replaced = Counter(
            "ecso_replaced_streams",
            "Choices of a stream that were replaced after their beginning had been shown",
            registry=registry,
        )
        self._verdicts = Counter(
            "ecso_verdicts", "Verdicts on drafts", ["verdict"], registry=registry
        )
        self._step_seconds = Histogram(
            "ecso_step_seconds", "Time of a step", ["step"], buckets=_SECONDS, registry=registry
        )
        self._step_tokens = Counter(
            "ecso_step_tokens",
            "Tokens generated, also for verdicts on beginnings and in drafts that were abandoned",
            ["step"],
            registry=registry,
        )
        self._text_verdicts = Counter(
            "ecso_text_fallbacks",
            "Answers whose verdicts were read as text for want of log-probabilities",
            registry=registry,
        )
        self._errors = Counter(
            "ecso_model_server_errors",
            "Faults of the model server",
            ["step", "fault"],
            registry=registry,
        )

    def count_step(self, event: StepEvent) -> None:
        """Take note of a step that was run."""
        step = event.record.step.value
        self._step_seconds.labels(step).observe(event.record.milliseconds / 1000)

    def count_tokens(self, run: EndpointRun) -> None:
        """Take note of what was generated for an answer, whatever became of it."""
        for step, tokens in run.tokens.items():
            self._step_tokens.labels(step.value).inc(tokens)

    def count_run(self, run: EndpointRun) -> None:
        """Take note of how an answer came about."""
        if run.trace.verdict is not None:
            self._verdicts.labels(run.trace.verdict.value).inc()
        outcome = (run.trace.outcome.value, run.reason or NO_REASON)
        if run.observes:
            self._would_be.labels(*outcome).inc()
            outcome = (Outcome.DIRECT.value, NO_REASON)
        if run.has_answer:
            self._answers.labels(*outcome).inc()
        if run.reads_text_instead:
            self._text_verdicts.inc()
        if run.trace.failed_step is not None:
            self.count_fault(run.trace.failed_step, run.failure)

    def count_fault(self, step: Step, error: ModelServerError | None) -> None:
        """Take note of a step that could not be run."""
        self._errors.labels(step.value, error.fault.value if error else "other").inc()

    def page(self) -> bytes:
        """Return all counters in the text format."""
        return generate_latest(self._registry)

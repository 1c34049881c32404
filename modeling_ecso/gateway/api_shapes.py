"""What the gateway sends, as shapes: the source of the published schemas.

Nothing is sent through them: answers are made in `answers`, errors in `errors`, traces in
`events_ecso`, and tests compare what those send with what stands here.

Covered: the trace, the ``ecso`` field, chat completions whole and in chunks, errors, models,
health.
Not covered: requests, whose shape is `request_body`'s.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..endpoint.reason import Reason
from ..events_ecso import Outcome, Step
from ..verdict_ecso import Verdict
from .errors import Blame


_Count = Annotated[int, Field(ge=0)]
_Probability = Annotated[float, Field(ge=0, le=1)]


def _without_default(schema: dict[str, Any]) -> None:
    """Make a field one that may be missing; nothing stands for it then."""
    schema.pop("default")


class _Sent(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class SentStep(_Sent):
    """One step that was run."""

    step: Step
    """Which one; the detect step stands here twice where the safe answer was judged too."""
    tokens: _Count
    """Number of tokens that it generated."""
    ms: Annotated[float, Field(ge=0)]
    """Its wall time in milliseconds."""


class SentTrace(_Sent):
    """What the protocol did for one answer: `Trace.to_dict()`."""

    preset: str
    """The preset that the settings started from."""
    outcome: Outcome
    """Whose text the answer is."""
    draft_withheld: bool
    """Whether the draft is not the answer."""
    verdict: Verdict | None
    """The verdict on the draft; null where it was not judged."""
    p_unsafe: _Probability | None
    """Probability that the draft is unsafe; null where it is not known."""
    safe_answer_verdict: Verdict | None
    """The verdict on the safe answer; null where it was not judged."""
    steps: list[SentStep]
    """The steps run, in order."""
    failed_step: Step | None
    """The step that could not be run and led to the refusal."""
    draft: str = Field("", json_schema_extra=_without_default)
    """The unsafe draft; only with `keep_draft`, and never from the gateway."""
    caption: str = Field("", json_schema_extra=_without_default)
    """The description of the image; only with `keep_caption`."""


class SentServerTokens(_Sent):
    """What an answer cost at the model server, over all steps."""

    prompt: _Count
    completion: _Count


class SentReason(_Sent):
    """Why an answer is what it is; all there is with `--no-trace`."""

    reason: Reason | None
    """Why the answer is not the model's own; null where it is."""


class SentAnswerTrace(SentTrace, SentReason):
    """What the protocol did for one answer of the gateway."""

    model_server_tokens: SentServerTokens


class SentObserved(_Sent):
    """With `--mode observe`, one answer of the gateway: the model's own, whatever is found."""

    reason: None
    would_be: SentAnswerTrace | SentReason
    """What would stand here if answers were protected."""


class SentErrorReason(_Sent):
    """Whose matter it is that there is no answer."""

    reason: Reason | Blame


class _SentThought(_Sent):
    reasoning_content: str = Field("", json_schema_extra=_without_default)
    """What the model thought first, where its server says so under this name."""
    reasoning: str = Field("", json_schema_extra=_without_default)
    """The same, where its server says so under this one."""


class SentMessage(_SentThought):
    """An answer."""

    role: Literal["assistant"]
    content: str


class SentChoice(_Sent):
    """One of the answers to a request."""

    index: _Count
    message: SentMessage
    finish_reason: str | None
    logprobs: None


class SentUsage(_Sent):
    """The counts that a client knows: its prompt, and the answers that it was given."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count


class SentCompletion(_Sent):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[SentChoice]
    usage: SentUsage
    ecso: list[SentAnswerTrace] | list[SentReason] | list[SentObserved]
    """What was done for each choice, in their order."""


class SentDelta(_SentThought):
    """A piece of an answer."""

    role: Literal["assistant"] = Field("assistant", json_schema_extra=_without_default)
    content: str = Field("", json_schema_extra=_without_default)


class SentChunkChoice(_Sent):
    """A piece of one of the answers."""

    index: _Count
    delta: SentDelta
    finish_reason: str | None
    logprobs: None


class SentReplacement(_Sent):
    """With the setting `stream: windows`: what was sent of a choice so far is void.

    Its answer follows in further chunks, and ends with the finish reason `content_filter`.
    """

    type: Literal["replace"]
    index: _Count
    """Which choice."""


class SentChunk(_Sent):
    """An event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[SentChunkChoice]
    usage: SentUsage | None = Field(None, json_schema_extra=_without_default)
    """In the last chunk, where `stream_options.include_usage` asked for it."""
    ecso: list[SentAnswerTrace] | list[SentReason] | list[SentObserved] = Field(
        [], json_schema_extra=_without_default
    )
    """In the chunk that ends the last choice."""
    ecso_event: SentReplacement | None = Field(None, json_schema_extra=_without_default)
    """In a chunk of its own."""


class SentOutputText(_Sent):
    """A text of a response."""

    type: Literal["output_text", "reasoning_text"]
    text: str
    annotations: list[Any] = Field([], json_schema_extra=_without_default)
    logprobs: list[Any] = Field([], json_schema_extra=_without_default)


class SentItem(_Sent):
    """An item of a response: what the model thought first, or its answer."""

    type: Literal["message", "reasoning"]
    id: str
    content: list[SentOutputText]
    status: Literal["completed", "incomplete"] = Field(
        "completed", json_schema_extra=_without_default
    )
    role: Literal["assistant"] = Field("assistant", json_schema_extra=_without_default)
    summary: list[Any] = Field([], json_schema_extra=_without_default)


class SentResponse(_Sent):
    """A response. Fields that say what every response here has are left out of this schema."""

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: Literal["completed", "incomplete"]
    incomplete_details: dict[str, str] | None
    """Why it is incomplete: `max_output_tokens`, or `content_filter`."""
    instructions: str | None
    output: list[SentItem]
    usage: dict[str, Any]
    """Tokens; those of a thought are among `output_tokens`, and not counted apart."""
    metadata: dict[str, str]
    """As it was sent."""
    parallel_tool_calls: bool
    """As it was sent; there are no tools."""
    store: Literal[False]
    """Nothing is kept."""
    ecso: list[SentAnswerTrace] | list[SentReason] | list[SentObserved]
    """What was done for the answer; one entry."""


class SentErrorDetail(_Sent):
    """An error, in the words of the API."""

    message: str
    """One sentence: what is wrong, and what to do."""
    type: str
    param: str | None
    """The field of the request that is to blame."""
    code: str
    """A word for programs."""


class SentError(_Sent):
    """There is no answer."""

    error: SentErrorDetail
    ecso: SentErrorReason


class SentModel(_Sent):
    """The one model there is."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class SentModels(_Sent):
    """The list of it."""

    object: Literal["list"]
    data: list[SentModel]


class SentHealth(_Sent):
    """Whether a request would be answered."""

    status: str
    """`ok`, or what is wrong."""
    ecso: SentErrorReason | None = Field(None, json_schema_extra=_without_default)
    """Only where something is."""


def schema_of(shape: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of what is sent, ready to be published."""
    schema = shape.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

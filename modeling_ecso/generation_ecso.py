"""`ECSOGenerationMixin`: the `generate()` that protects by itself; `Protection`: for any model.

The main path: `generate()` → `ProtectedRun` (next step → run → feed result), which asks `Protocol`
what is next and has `Steps` run it. An architecture mixes this in before its own class and says
which processor it uses; see `modeling_ecso.py`. `protect()` does the same to a model object; see
`protect_ecso.py`. The ``custom_generate`` repository makes a `Protection` of the stock model it is
handed. All three are driven by the same few lines.
"""

import inspect
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import GenerationConfig

from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOInputError
from .isolation_ecso import WRITING, callbacks_outside
from .request_ecso import read_call
from .run_ecso import ProtectedRun
from .settings_ecso import ECSOConfig
from .sources_ecso import find_processor


# The reader of each model's latest processor: probing a chat template is not for every call.
_kept_readers: WeakKeyDictionary[Any, ConversationReader] = WeakKeyDictionary()


class CompleteGenerationConfig(GenerationConfig):
    """Generation settings in which None means none, whatever the model stores.

    transformers fills whatever a call leaves open from ``model.generation_config``. A
    ``stop_strings``, ``min_new_tokens`` or ``suppress_tokens`` stored there is about answers; in a
    step it would change verdicts, or break them.
    """

    def update(
        self, defaults_only: bool = False, allow_custom_entries: bool = False, **changes: Any
    ) -> dict[str, Any]:
        """Set values, but none of the model's, which transformers sends with both switches on."""
        if defaults_only and allow_custom_entries:
            return changes
        return super().update(defaults_only, allow_custom_entries, **changes)


class PlainGenerate:
    """The unprotected `generate()` of a model.

    Args:
        model: The model.
        generate: Its `generate()` as the parent class has it.
    """

    def __init__(self, model: Any, generate: Callable[..., Any]):
        """Keep both."""
        self._model = model
        self._generate = generate

    def __call__(self, **arguments: Any) -> Any:
        """Return what the parent's `generate()` returns, its assistant unprotected as well."""
        assistant = arguments.get("assistant_model")
        if assistant is None and arguments.get("custom_generate") is None:
            return self._generate(**arguments)
        # In a context of its own, so that no interrupt can leave the mark behind.
        inside = copy_context()
        inside.run(WRITING.set, (*WRITING.get(), self._model, assistant))
        return inside.run(self._generate, **callbacks_outside(arguments))

    def with_config(self, config: GenerationConfig, **arguments: Any) -> Any:
        """Return the same under these settings alone, whatever the model stores."""
        complete = CompleteGenerationConfig()
        vars(complete).update(vars(config))  # transformers copies it before it changes anything
        return self(generation_config=complete, **arguments)


@dataclass(frozen=True)
class Protection:
    """One model and what the protocol needs to know of it.

    Args:
        model: The model, for its configuration and generation settings.
        generate: Its unprotected `generate()`.
        ecso_config: The settings that apply where a call brings none.
        processor_class: Class to load the processor with where none is at hand.
        processor: A processor attached to the model.
        hub_arguments: Revision, token, cache folder and offline flag the model was loaded with.
        trusts_repository: Whether the user has trusted code from the model's own repository.
    """

    model: Any
    generate: PlainGenerate
    ecso_config: ECSOConfig
    processor_class: type
    processor: Any
    hub_arguments: dict[str, Any]
    trusts_repository: bool

    def is_off(self, ecso: Any) -> bool:
        """Return whether a call is for the plain `generate()`.

        Args:
            ecso: The argument of that name; see `ECSOGenerationMixin.generate`.
        """
        is_writing = any(self.model is model for model in WRITING.get())
        return is_writing or not self._config_of(ecso).enabled

    def run(self, ecso: Any, processor: Any, arguments: dict[str, Any]) -> ProtectedRun:
        """Return a run of the protocol, which protects whether or not it is switched off.

        Args:
            ecso: The argument of that name of `generate()`.
            processor: The argument of that name.
            arguments: All others, by name.

        Raises:
            ECSOInputError: An argument cannot be used with the protocol.
            ECSOProcessorError: There is no processor to read the prompt with.
        """
        reader = self.reader(processor, arguments.get("tokenizer"))
        config = self._config_of(ecso)
        return ProtectedRun(read_call(self.model, self.generate, reader, config, arguments))

    def _config_of(self, ecso: Any) -> ECSOConfig:
        return self.ecso_config if ecso is None else self.ecso_config.overridden(ecso)

    def reader(self, passed: Any = None, tokenizer: Any = None) -> ConversationReader:
        """Return the reader for a call's processor; the model's last one is kept.

        Args:
            passed: The argument ``processor`` of the call.
            tokenizer: Its argument ``tokenizer``, which may be a processor.

        Raises:
            ECSOProcessorError: There is no processor, or none that prompts can be read with.
        """
        kept, config = _kept_readers.get(self.model), self.model.config
        image_token_id = image_token_id_of(config)
        if kept is not None and kept.fits(passed, image_token_id):
            return kept
        found = find_processor(
            passed,
            tokenizer,
            self.processor or (kept and kept.processor),
            self.processor_class,
            config.name_or_path,
            self.hub_arguments,
            self.trusts_repository,
        )
        if kept is None or not kept.fits(found, image_token_id):
            kept = ConversationReader(found, image_token_id)
            _kept_readers[self.model] = kept
        return kept


def image_token_id_of(config: Any) -> int | None:
    """Return the id that stands for image features; some keep it with the image encoder."""
    holders = (config, getattr(config, "vision_config", None))
    ids = (getattr(holder, "image_token_id", None) for holder in holders)
    return next((each for each in ids if each is not None), None)


class ECSOGenerationMixin:
    """Replaces `generate()` by one that runs direct → detect → caption → safe.

    The class it is mixed into sets `processor_class`, and has an `ECSOConfig` in ``config.ecso`` or
    an `ecso_config` of its own.
    """

    config: Any
    processor_class: type
    processor: Any = None
    _hub_arguments: dict[str, Any]

    @property
    def ecso_config(self) -> ECSOConfig:
        """The settings that apply where a call brings none."""
        settings: ECSOConfig = self.config.ecso
        return settings

    @ecso_config.setter
    def ecso_config(self, settings: ECSOConfig) -> None:
        self.config.ecso = settings

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        generation_config: Any = None,
        *args: Any,
        ecso: Any = None,
        processor: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Return an answer that has passed the protocol.

        Takes what the parent class's `generate()` takes, and two arguments more. Sampling, beams,
        ``num_return_sequences``, token limits, ``stopping_criteria``, ``logits_processor``,
        assistant models and ``cache_implementation`` apply to the answer, whether it is the draft
        or the safe answer; detect and caption are greedy. Each returned sequence is judged. A
        streamer is given the answer once it is settled, never a draft that is to be judged; with
        the setting ``stream`` ``windows``, one that has a method ``replace()`` is given the answer
        as far as it was judged while it is written. ``replace()`` is called without arguments
        where harm is found later: all tokens behind the prompt are void, the answer follows.

        Args:
            inputs: Prompt ids, long, (batch, length); the same as ``input_ids``.
            generation_config: As in the parent class.
            *args: Further arguments of the parent class, by position.
            ecso: False: the plain `generate()` of the parent class. True: protect, even where the
                stored settings are switched off. A dictionary, the name of a preset or an
                `ECSOConfig`: settings for this call. None: the stored ones.
            processor: The model's processor. Without it: ``tokenizer`` if that is a processor,
                else the attribute ``processor``, else loaded from where the model came from.
            **kwargs: Model inputs (``input_ids``, ``attention_mask``, ``pixel_values``) and
                generation settings, as in the parent class.

        Returns:
            As in the parent class: long, (batch × num_return_sequences, prompt + answer), the
            prompt as it was given, the answer right-padded; or with
            ``return_dict_in_generate=True`` an output that also has ``ecso_traces``.

        Raises:
            ECSOInputError: An argument cannot be used with the protocol.
            ECSOProcessorError: There is no processor to read the prompt with.
            ECSOStepError: A step after the draft failed and ``on_error`` is ``raise``.
            Whatever the parent class raises for the direct step.

        Cost: one generation for text alone or a benign answer plus one short one for the verdict;
            two more for an answer judged unsafe.

        Source: arXiv 2403.09572, section 4.
        """
        parent: Any = super()
        by_place = inspect.signature(parent.generate).bind(inputs, generation_config, *args)
        arguments = {**by_place.arguments, **kwargs}
        protection = self._protection()
        if protection.is_off(ecso):
            return protection.generate(**arguments)
        return self.protected_run(ecso=ecso, processor=processor, **arguments).run_to_end()

    def protected_run(
        self, *, ecso: Any = None, processor: Any = None, **kwargs: Any
    ) -> ProtectedRun:
        """Return the run behind `generate()`, to watch the steps as they happen.

        Iterate over it for a `StepEvent` after each step, then read ``output`` and ``traces``.
        Iterate under `torch.no_grad()`.

        Args:
            ecso: As in `generate()`; the protocol runs whether or not it is switched off.
            processor: As in `generate()`.
            **kwargs: As in `generate()`, by name.

        Raises:
            ECSOInputError: An argument cannot be used with the protocol.
            ECSOProcessorError: There is no processor to read the prompt with.
        """
        return self._protection().run(ecso, processor, kwargs)

    def init_continuous_batching(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse continuous batching, the one way to generate that does not come through here.

        Raises:
            ECSOInputError: ECSO is switched on in the configuration.
        """
        if self.ecso_config.enabled:
            raise ECSOInputError(
                "continuous batching (generate_batch, cache_implementation='paged') does not run "
                "the protocol; use generate() with a batch, or set ecso_config.enabled = False"
            )
        parent: Any = super()
        return parent.init_continuous_batching(*args, **kwargs)

    def _protection(self) -> Protection:
        return Protection(
            model=self,
            generate=PlainGenerate(self, self._generate_plainly),
            ecso_config=self.ecso_config,
            processor_class=self.processor_class,
            processor=self.processor,
            hub_arguments=self._hub_arguments,
            # Where this code itself came from the model's repository, the user has trusted it.
            trusts_repository=__name__.startswith("transformers_modules."),
        )

    def _generate_plainly(self, **kwargs: Any) -> Any:
        parent: Any = super()
        return parent.generate(**kwargs)

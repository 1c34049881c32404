"""`ECSOGenerationMixin`: the `generate()` that protects by itself.

The main path: `generate()` → `Protection` → `ProtectedRun` (next step → run → feed result), which
asks `Protocol` what is next and has `StepRunner` run it. An architecture mixes this in before its
own class and says which processor it uses; see `modeling_ecso.py`.
"""

import inspect
from typing import Any

import torch

from .errors_ecso import ECSOInputError
from .protection_ecso import Protection, even_image_token_counts
from .run_ecso import ProtectedRun


class ECSOGenerationMixin:
    """Replaces `generate()` by one that runs direct → detect → caption → safe.

    The class it is mixed into sets `processor_class` and has an `ECSOConfig` in ``config.ecso``.
    """

    processor_class: type
    processor: Any = None

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
        streamer is given the answer once it is settled, never a draft that is to be judged.

        Args:
            inputs: Prompt ids, long, (batch, length); the same as ``input_ids``.
            generation_config: As in the parent class.
            *args: Further arguments of the parent class, by position.
            ecso: False: the plain `generate()` of the parent class. True: protect, even where the
                stored settings are switched off. A dictionary or an `ECSOConfig`: settings for
                this call. None: the stored ones.
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
        by_place = inspect.signature(super().generate).bind(inputs, generation_config, *args)
        arguments = {**by_place.arguments, **kwargs}
        protection = self._protection()
        if protection.is_off(ecso):
            return protection.generate_plainly(**arguments)
        return self.protected_run(ecso=ecso, processor=processor, **arguments).finish()

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
        if self.config.ecso.enabled:
            raise ECSOInputError(
                "continuous batching (generate_batch, cache_implementation='paged') does not run "
                "the protocol; use generate() with a batch, or set config.ecso.enabled = False"
            )
        return super().init_continuous_batching(*args, **kwargs)

    def image_token_counts(
        self, image_tokens: list[int], pixel_values: torch.Tensor
    ) -> list[list[int]]:
        """Return, for each row, the number of tokens of each of its images.

        For architectures that give every image the same number of tokens, such as LLaVA-1.5;
        others override this.

        Args:
            image_tokens: Number of image tokens in each row.
            pixel_values: Float, (images in the batch, channels, height, width).

        Raises:
            ECSOInputError: The image tokens cannot be shared out evenly over the images.
        """
        return even_image_token_counts(image_tokens, pixel_values)

    def _protection(self) -> Protection:
        return Protection(
            model=self,
            generate=self._generate_plainly,
            settings=self.config.ecso,
            processor_class=self.processor_class,
            image_token_counts=self.image_token_counts,
            processor=self.processor,
            hub_arguments=self._hub_arguments,
            # Where this code itself came from the model's repository, the user has trusted it.
            trusts_repository=__name__.startswith("transformers_modules."),
        )

    def _generate_plainly(self, **kwargs: Any) -> Any:
        return super().generate(**kwargs)

"""Where a model comes from: its weights, perhaps of another repository, and its processor.

A thin repository holds code, configuration and processor; its ``config.json`` names the base under
``weights_from``: a repository and the commit its weights are pinned to. A tag or branch would not
do: it moves, and the weights change under the same code. Nothing but safetensors is taken from
there, above all no code.
"""

import os
import re
from typing import Any, cast

from transformers import GenerationConfig

from .errors_ecso import ECSOConfigError, ECSOProcessorError, ECSOWeightsError


KEYS = {"repo_id", "revision"}
REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")

REMEDY = "pass processor=AutoProcessor.from_pretrained(...) to generate()"

HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "proxies", "token")


def checked_source(value: Any) -> dict[str, str | None] | None:
    """Return ``weights_from`` as it stands, if it can be used.

    Args:
        value: None, or the keys ``repo_id``, a repository of the Hub or an absolute path, and
            ``revision``, a commit of 40 hex digits; null for a path.

    Raises:
        ECSOConfigError: It is malformed, or no commit is named; the message names the key.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != KEYS:
        raise ECSOConfigError(f"weights_from must hold repo_id and revision; got {_short(value)}")
    base, revision = value["repo_id"], value["revision"]
    if isinstance(base, str) and os.path.isabs(base):
        if revision is not None:
            raise ECSOConfigError(
                f"weights_from.revision must be null for a folder; got {_short(revision)}"
            )
    elif not isinstance(base, str) or not REPO_ID.fullmatch(base):
        raise ECSOConfigError(
            f"weights_from.repo_id must be OWNER/NAME or an absolute path; got {_short(base)}"
        )
    elif not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        raise ECSOConfigError(
            "weights_from.revision must be a commit, 40 hex digits, since tags and branches move; "
            f"got {_short(revision)}"
        )
    return value


class BorrowedWeights:
    """Mixin: a model whose configuration may name another repository that holds its weights."""

    config_class: Any

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any
    ) -> Any:
        """Load as the parent class does; the weights of a thin repository come from its base.

        Once loaded, it is a model like any other: saved, it brings its weights along.

        Raises:
            ECSOWeightsError: The base's weights cannot be had.
            Whatever the parent class raises.
        """
        thin, parent = pretrained_model_name_or_path, cast(Any, super())
        if thin is None or kwargs.get("state_dict") is not None:
            return parent.from_pretrained(thin, *args, config=config, **kwargs)
        hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        own = {name: kwargs[name] for name in ("revision", "subfolder") if name in kwargs}
        if not hasattr(config, "to_dict"):
            config_source = thin if config is None else config
            stored, _ = cls.config_class.get_config_dict(config_source, **hub, **own)
            if stored.get("weights_from") is None:
                return parent.from_pretrained(thin, *args, config=config, **kwargs)
            # The parent class would look for the configuration at the base's revision.
            config, kwargs = _absorbed(cls.config_class, config_source, kwargs)
        source = getattr(config, "weights_from", None)
        if source is None:
            return parent.from_pretrained(thin, *args, config=config, **kwargs)

        if kwargs.get("generation_config") is None:
            kwargs["generation_config"] = _generation_config(thin, config, hub | own)
        base, revision = source["repo_id"], source["revision"]
        if revision is not None and os.path.isdir(base):
            raise ECSOWeightsError(
                f"the weights come from {base} on the Hub, and a folder of that name stands in "
                "the working directory; run from another one"
            )
        kwargs.update(revision=revision, subfolder="", use_safetensors=True)
        # Trust was given to the thin repository, and the base's code is not wanted anyway.
        kwargs["trust_remote_code"] = False
        try:
            loaded = parent.from_pretrained(base, *args, config=config, **kwargs)
        except OSError as error:
            at = f" at revision {revision}" if revision else ""
            raise ECSOWeightsError(
                f"the weights of this model come from {base}{at}, and they cannot be had "
                f"({type(error).__name__}): be online once, pass token= if the repository asks "
                "for one, or look whether it still has safetensors there"
            ) from error
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.config.weights_from = None
        model.config.name_or_path = model.name_or_path = str(thin)
        return loaded


def _absorbed(config_class: Any, source: Any, kwargs: dict[str, Any]) -> tuple[Any, dict]:
    """Return the configuration with the arguments that are its own, and the other arguments."""
    # Meant for the loading of weights; the configuration would keep them for itself.
    for_weights = {
        name: kwargs[name]
        for name in ("dtype", "torch_dtype", "quantization_config")
        if name in kwargs
    }
    others = {name: value for name, value in kwargs.items() if name not in for_weights}
    config, unused = config_class.from_pretrained(source, return_unused_kwargs=True, **others)
    kept = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
    return config, {**unused, **kept, **for_weights}


def _generation_config(source: Any, config: Any, hub_arguments: dict[str, Any]) -> Any:
    try:
        return GenerationConfig.from_pretrained(source, **hub_arguments)
    except OSError:
        return GenerationConfig.from_model_config(config)


def _short(value: Any) -> str:
    return repr(value)[:80]


def is_processor(candidate: Any) -> bool:
    """Return whether an object is a multimodal processor rather than a bare tokenizer."""
    return hasattr(candidate, "tokenizer") and hasattr(candidate, "apply_chat_template")


def find_processor(
    passed: Any,
    tokenizer: Any,
    attached: Any,
    processor_class: Any,
    source: str | None,
    hub_arguments: dict[str, Any],
    trusts_source: bool,
) -> Any:
    """Return the first processor to be had, in this order.

    Args:
        passed: The argument ``processor`` of the call.
        tokenizer: Its argument ``tokenizer``, which `transformers serve` fills with the processor.
        attached: The model's attribute ``processor``.
        processor_class: Class to load with, the architecture's own.
        source: Folder or Hub id the model was loaded from.
        hub_arguments: Revision, token, cache folder and offline flag it was loaded with.
        trusts_source: Whether the user has trusted code from there.

    Raises:
        ECSOProcessorError: What was passed is no processor, or there is none to be had.
    """
    if passed is not None and not is_processor(passed):
        raise ECSOProcessorError(f"processor= is a {type(passed).__name__}, no processor; {REMEDY}")
    for candidate in (passed, tokenizer, attached):
        if is_processor(candidate):
            return candidate
    if not source:
        raise ECSOProcessorError(
            f"the protocol needs the processor and the model was not loaded from anywhere; {REMEDY}"
        )
    # Asked without a word on trust, transformers would stop and put the question to the user.
    try:
        found = processor_class.from_pretrained(
            source, trust_remote_code=trusts_source, **hub_arguments
        )
    except Exception as error:
        raise ECSOProcessorError(
            f"the protocol needs the processor and none could be loaded from where the model came "
            f"from ({type(error).__name__}); {REMEDY}"
        ) from error
    if not is_processor(found):  # of a model that reads text alone, or images alone
        raise ECSOProcessorError(
            f"the protocol needs a processor for text and images, and where the model came from "
            f"there is a {type(found).__name__}; {REMEDY}"
        )
    return found


class RememberSource:
    """Mixin: a model that remembers with which Hub arguments it was loaded."""

    _hub_arguments: dict[str, Any] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load the model as its parent class does."""
        kept = ("revision", "token", "cache_dir", "local_files_only", "subfolder")
        hub_arguments = {key: kwargs[key] for key in kept if kwargs.get(key) is not None}
        parent: Any = super()
        loaded = parent.from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model._hub_arguments = hub_arguments
        return loaded

"""Proves a built folder in a process of its own, which cannot import this package.

Run by `verify.py` as a script; it prints one JSON line for each check. It imports nothing of ours:
what it sees is the folder and the installed libraries. It has no token and no network.
"""

import json
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any


HIDDEN = ("modeling_ecso", "hub_upload")
AUTO_CLASSES = ("AutoModel", "AutoModelForImageTextToText", "AutoModelForMultimodalLM")
NEW_TOKENS = 8
LAST_LINE = "all checks have been made"


class _HiddenPackages(MetaPathFinder):
    """Makes the installed package impossible to import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse our names, leave the others to the next finder."""
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"{name} is hidden from this process")


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Stop whatever reaches out of this process over a socket."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg"):
        raise ConnectionError("the checks run without network")


class _CheckFailed(Exception):
    """A check did not pass; the message says why."""


def check_model(folder: str, class_name: str) -> None:
    """Check a model repository, whose class has this name."""
    import transformers

    _check("refused without trust", _refuses_without_trust, folder)
    processor = _check("AutoProcessor", _processor, folder)
    for name in AUTO_CLASSES:
        model = _check(name, _complete_model, folder, name, class_name)
        if model is not None and processor is not None and name == AUTO_CLASSES[1]:
            _check("protected generation", _generates, model, processor)
        del model  # gigabytes, before the next one comes

    def pipeline() -> str:
        pipe = transformers.pipeline("image-text-to-text", model=folder, trust_remote_code=True)
        if type(pipe.model).__name__ != class_name:
            raise _CheckFailed(f"loads a {type(pipe.model).__name__}")
        # The pipeline throws the traces away, so they are caught on their way.
        seen: list[Any] = []
        model: Any = pipe.model
        start = model.protected_run

        def kept(**kwargs: Any) -> Any:
            seen.append(start(**kwargs))
            return seen[-1]

        model.protected_run = kept
        chat: Any = _chat(_image())
        pipe(text=chat, max_new_tokens=NEW_TOKENS)
        if len(seen) != 1 or len(seen[0].traces) != 1:
            raise _CheckFailed("answers without the protocol")
        return _steps_of(seen[0].traces[0])

    def listed_for_serving() -> str:
        from transformers.models.auto import modeling_auto

        model_type = transformers.AutoConfig.from_pretrained(
            folder, trust_remote_code=True
        ).model_type
        for names in (
            modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        ):
            if names.get(model_type) != class_name:
                raise _CheckFailed("transformers serve would not know that it takes images")
        return "takes images"

    _check("pipeline", pipeline)
    _check("transformers serve", listed_for_serving)


def check_method(folder: str, stock: str) -> None:
    """Check a ``custom_generate`` repository on a stock model."""
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    # With another model type, transformers would not convert the keys of the checkpoint.
    stored = LlavaConfig.from_pretrained(stock).to_dict()
    config = LlavaConfig(**{k: v for k, v in stored.items() if k not in ("model_type", "ecso")})
    loaded: Any = LlavaForConditionalGeneration.from_pretrained(
        stock, config=config, output_loading_info=True
    )
    model, report = loaded
    if any(report.values()):
        raise RuntimeError("the stock model to try it on does not load completely")
    processor = LlavaProcessor.from_pretrained(stock, trust_remote_code=False)
    inputs = _inputs(model, processor)
    plain = model.generate(**inputs, max_new_tokens=NEW_TOKENS)

    def call(**arguments: Any) -> Any:
        return model.generate(
            **inputs,
            custom_generate=folder,
            processor=processor,
            max_new_tokens=NEW_TOKENS,
            **arguments,
        )

    def refused() -> str:
        try:
            call(trust_remote_code=False)
        except ValueError:
            return "as it should be"
        raise _CheckFailed("runs without trust_remote_code")

    def protected() -> str:
        output = call(trust_remote_code=True, return_dict_in_generate=True)
        return _trace_of(output)

    def switched_off() -> str:
        if not torch.equal(call(trust_remote_code=True, ecso=False), plain):
            raise _CheckFailed("with ecso=False it is not the model's own answer")
        return "the model's own answer"

    _check("refused without trust", refused)
    _check("protected generation", protected)
    _check("switched off", switched_off)


def _check(name: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """Run a check and print its line; return what it returned, None where it failed."""
    try:
        result = run(*arguments)
    except Exception as error:  # whatever it is, the check has failed
        said = str(error).strip().splitlines()
        detail = f"{type(error).__name__}: {said[0] if said else ''}"
        detail = said[0] if isinstance(error, _CheckFailed) else detail
        print(json.dumps({"check": name, "ok": False, "detail": detail[:300]}), flush=True)
        return None
    detail = result if isinstance(result, str) else "complete"
    print(json.dumps({"check": name, "ok": True, "detail": detail}), flush=True)
    return result


def _refuses_without_trust(folder: str) -> str:
    import transformers

    for name in ("AutoConfig", *AUTO_CLASSES):
        try:
            getattr(transformers, name).from_pretrained(folder, trust_remote_code=False)
        except ValueError as error:
            if "trust_remote_code" not in str(error):
                raise
        else:
            raise _CheckFailed(f"{name} loads it without trust_remote_code")
    return "as it should be"


def _processor(folder: str) -> Any:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    if not getattr(processor, "chat_template", None):
        raise _CheckFailed("the processor has no chat template")
    return processor


def _complete_model(folder: str, auto_class: str, class_name: str) -> Any:
    import transformers

    model, report = getattr(transformers, auto_class).from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True
    )
    if type(model).__name__ != class_name:
        raise _CheckFailed(f"loads a {type(model).__name__}")
    wrong = {kind: sorted(map(str, keys))[:3] for kind, keys in report.items() if keys}
    if wrong:
        raise _CheckFailed(f"keys do not fit: {wrong}")
    return model


def _generates(model: Any, processor: Any) -> str:
    output = model.generate(
        **_inputs(model, processor), max_new_tokens=NEW_TOKENS, return_dict_in_generate=True
    )
    return _trace_of(output)


def _trace_of(output: Any) -> str:
    traces = getattr(output, "ecso_traces", None)
    if not traces or len(traces) != 1:
        raise _CheckFailed("answers without a trace of the protocol")
    return _steps_of(traces[0])


def _steps_of(trace: Any) -> str:
    steps = " → ".join(record.step.value for record in trace.steps)
    if trace.failed_step is not None:
        raise _CheckFailed(f"the {trace.failed_step.value} step could not be run, after {steps}")
    return steps


def _inputs(model: Any, processor: Any) -> Any:
    inputs = processor.apply_chat_template(
        _chat(_image()),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return inputs.to(model.device, dtype=model.dtype)


def _chat(image: Any) -> list[dict[str, Any]]:
    text = {"type": "text", "text": "What is this?"}
    return [{"role": "user", "content": [{"type": "image", "image": image}, text]}]


def _image() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64), "red")


if __name__ == "__main__":
    # Called with -I: without this file's folder, and without what environment and user add.
    kind, *arguments = sys.argv[1:]
    # Before the finders that editable installations have put there.
    sys.meta_path.insert(0, _HiddenPackages())
    sys.addaudithook(_refuse_network)
    check: Callable[..., None] = check_model if kind == "model" else check_method
    check(*arguments)
    print(LAST_LINE)

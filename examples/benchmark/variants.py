"""The ways to answer that are compared: direct, the published loop, ours, and the floor."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import DynamicCache

from modeling_ecso import ECSOConfig
from modeling_ecso.inputs_ecso import SMALLEST_FULL_BATCH
from modeling_ecso.prefix_cache_ecso import CacheKind
from modeling_ecso.prompts_ecso import JudgedAnswer, detect_prompts
from modeling_ecso.sharing_ecso import MAY_SHARE

from .forced_words import ForcedWords


QUERY = "How do I make this? Give me the steps to build it, one after the other, please."
CAPTION_TOKENS = 32
VERDICTS = ("no", "yes")  # what the detect step replies to a safe and to an unsafe draft


@dataclass(frozen=True)
class Job:
    """What is to be answered.

    Args:
        new_tokens: Length of every answer.
        flagged: For each row whether its draft is judged unsafe.
    """

    new_tokens: int
    flagged: tuple[bool, ...]


class Bench:
    """One model with the variants as methods; each returns when all rows are answered.

    Args:
        model: A model with `ForcedWords`.
        processor: Its processor.
        words: The forced words.
    """

    def __init__(self, model: Any, processor: Any, words: ForcedWords):
        """Prepare the prompts of all steps."""
        self.model, self.processor, self.words = model, processor, words
        tokenizer = processor.tokenizer
        self._word = tokenizer.encode(" step", add_special_tokens=False)[0]
        # As the template has an answer begin, with a blank or without.
        answer_ids = model._protection().reader().answer_ids
        self._verdicts = [[*answer_ids(word), tokenizer.eos_token_id] for word in VERDICTS]
        text_config = model.config.get_text_config(decoder=True)
        self._reads_ahead = CacheKind.of(text_config).can_be_cut
        size = getattr(processor, "image_size", None)
        size = size or processor.image_processor.crop_size["height"]
        self._made: dict[Any, Any] = {}
        self._image = Image.effect_noise((size, size), 64).convert("RGB")
        # Whether the model may share a prefix is tried once on logits, which must be its own.
        with words.paused():
            model.generate(**self._inputs([QUERY]), ecso=True, max_new_tokens=2)
        assert MAY_SHARE[model], "this model shares no prefix, so there is nothing to measure"

    def direct(self, job: Job) -> None:
        """Stock `generate()`, all rows in one batch."""
        self.words.plan([self._answers(job)])
        inputs = self._inputs([QUERY] * len(job.flagged))
        self.model.generate(**inputs, ecso=False, max_new_tokens=job.new_tokens)

    def published(self, job: Job) -> None:
        """Four stock `generate()` calls for each row, one row at a time."""
        ecso_config = self.model.ecso_config
        draft, caption = " step" * job.new_tokens, " step" * CAPTION_TOKENS
        detect = ecso_config.detect_prompt.format(query=QUERY, response=draft)
        safe = ecso_config.safe_prompt.format(caption=caption, query=QUERY)
        for flagged in job.flagged:
            steps = [
                (QUERY, True, self._said(job.new_tokens), job.new_tokens),
                (detect, True, self._verdicts[flagged], 8),
            ]
            if flagged:
                caption_prompt = ecso_config.caption_prompt.format(query=QUERY)
                steps += [
                    (caption_prompt, True, self._said(CAPTION_TOKENS), CAPTION_TOKENS),
                    (safe, False, self._said(job.new_tokens), job.new_tokens),
                ]
            for text, sees_image, said, limit in steps:
                self.words.plan([[said]])
                inputs = self._inputs([text], sees_image)
                self.model.generate(**inputs, ecso=False, max_new_tokens=limit)

    def ours(self, job: Job, runs_on: bool = False, **ecso: Any) -> None:
        """Our `generate()`, all rows in one batch.

        Args:
            job: What is asked.
            runs_on: Set what can keep an answer from ending, so that all of it is judged in short
                windows as well; for drafts that are not flagged.
            **ecso: Changes to the model's `ECSOConfig`.
        """
        ecso_config = self._ecso_config(**ecso)
        safe_answers = [self._said(job.new_tokens)] * sum(job.flagged)
        captions = [self._said(ecso_config.caption_max_new_tokens)] * sum(job.flagged)
        verdicts = [self._verdicts[is_flagged] for is_flagged in job.flagged]
        passed = [self._verdicts[False]] * job.flagged.count(False)
        calls = [self._answers(job)]
        # Flagged rows are abandoned at the first checkpoint and not judged again.
        for _ in (at for at in ecso_config.draft_checkpoints if at < job.new_tokens):
            calls.append(verdicts)
            verdicts = passed
        windows = self._windows(ecso_config, job.new_tokens, runs_on)
        calls += _in_batches(verdicts, windows, len(job.flagged))
        reads_ahead = (
            self._reads_ahead and ecso_config.speculative_verdict and ecso_config.share_image_prefix
        )
        if ecso_config.verdict_rule != "logits" and reads_ahead and any(job.flagged):
            calls.append([reply[1:] for reply in verdicts])  # a wrong guess: a second call ends it
        calls += [captions, safe_answers] if safe_answers else []
        if ecso_config.judge_safe_answer and safe_answers:
            passes = [self._verdicts[False]] * len(safe_answers)
            calls += _in_batches(passes, windows, len(job.flagged))
        self.words.plan(calls)
        inputs = self._inputs([QUERY] * len(job.flagged))
        output = self.model.generate(
            **inputs,
            ecso=ecso_config,
            return_dict_in_generate=True,
            max_new_tokens=job.new_tokens,
            **({"min_new_tokens": job.new_tokens} if runs_on else {}),
        )
        outcomes = ["safe" if flagged else "direct" for flagged in job.flagged]
        assert [trace.outcome for trace in output.ecso_traces] == outcomes

    def ours_one_by_one(self, job: Job, **ecso: Any) -> None:
        """Our `generate()`, a row at a time."""
        for flagged in job.flagged:
            self.ours(Job(job.new_tokens, (flagged,)), **ecso)

    @property
    def has_floor(self) -> bool:
        """Whether bare passes can go on from a cropped cache, counting tokens one by one."""
        return self.model.config.model_type == "ecso_llava"

    def floor(self, job: Job, **ecso: Any) -> None:
        """The same tokens as bare forward passes, without `generate()` or anything to decide."""
        ecso_config = self._ecso_config(**ecso)
        rows = len(job.flagged)
        cache = DynamicCache(config=self.model.config.get_text_config())
        inputs = self._inputs([QUERY] * rows)
        prefix = self._prefix_length(inputs["input_ids"])
        self.words.plan([self._answers(job)])
        self.words.next_call()
        self._forward(cache, **inputs)
        written = 1
        checkpoints = [at for at in ecso_config.draft_checkpoints if at < job.new_tokens]
        for at in checkpoints:
            self._decode(cache, at - written, rows)
            written = at
            self._continue(copy.deepcopy(cache), prefix, self._detect(ecso_config, at), rows)
            if all(job.flagged):
                break
        else:
            self._decode(cache, job.new_tokens - written, rows)
            self._continue(cache, prefix, self._detect(ecso_config, job.new_tokens), rows)
        # The short windows of the hardened preset are ours to pay, not the floor's.
        flagged = [row for row, is_flagged in enumerate(job.flagged) if is_flagged]
        if flagged:
            cache.crop(prefix - cache.get_seq_length())
            cache.batch_select_indices(torch.tensor(flagged, device=self.model.device))
            self.words.plan([self._answers(job)[: len(flagged)]])
            self.words.next_call()
            self._repair(cache, prefix, ecso_config, job.new_tokens, len(flagged))

    def _repair(
        self, cache: DynamicCache, prefix: int, ecso_config: ECSOConfig, new_tokens: int, rows: int
    ) -> None:
        """Run caption and safe step, and judge the safe answer if that is set."""
        caption_tokens = ecso_config.caption_max_new_tokens
        self._continue(cache, prefix, ecso_config.caption_prompt.format(query=QUERY), rows)
        self._decode(cache, caption_tokens - 1, rows)
        texts = [ecso_config.safe_prompt.format(caption=" step" * caption_tokens, query=QUERY)]
        texts += [self._detect(ecso_config, new_tokens)] * ecso_config.judge_safe_answer
        for place, text in enumerate(texts):
            cache = DynamicCache(config=self.model.config.get_text_config())
            ids = self._inputs([text] * rows, sees_image=False)["input_ids"]
            self._forward(cache, input_ids=ids)
            if place == 0:
                self._decode(cache, new_tokens - 1, rows)

    def _ecso_config(self, **ecso: Any) -> ECSOConfig:
        stated = {"caption_max_new_tokens": CAPTION_TOKENS, "speculative_verdict": VERDICTS[False]}
        return self.model.ecso_config.updated({**stated, **ecso})

    def _detect(self, ecso_config: ECSOConfig, new_tokens: int) -> str:
        return ecso_config.detect_prompt.format(query=QUERY, response=" step" * new_tokens)

    def _prefix_length(self, ids: torch.Tensor) -> int:
        return int((ids[0] == self.model.config.image_token_id).nonzero()[-1]) + 1

    def _continue(self, cache: DynamicCache, prefix: int, text: str, rows: int) -> None:
        cache.crop(prefix - cache.get_seq_length())
        self._forward(cache, input_ids=self._inputs([text] * rows)["input_ids"][:, prefix:])

    def _decode(self, cache: DynamicCache, count: int, rows: int) -> None:
        token = torch.tensor([[self._word]] * rows, device=self.model.device)
        for _ in range(count):
            self._forward(cache, input_ids=token)

    @torch.inference_mode()
    def _forward(self, cache: DynamicCache, **inputs: Any) -> None:
        inputs.pop("attention_mask", None)
        self.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def _inputs(self, texts: list[str], sees_image: bool = True) -> dict[str, Any]:
        """Return model inputs, made once: reading images is not what is measured."""
        key = (tuple(texts), sees_image)
        if key not in self._made:
            self._made[key] = self._make_inputs(texts, sees_image)
        return dict(self._made[key])

    def _make_inputs(self, texts: list[str], sees_image: bool) -> Any:
        prompts = []
        for text in texts:
            content = [{"type": "image"}] * sees_image + [{"type": "text", "text": text}]
            prompts.append(
                self.processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True
                )
            )
        images = [self._image] * len(texts) if sees_image else None
        inputs = self.processor(text=prompts, images=images, padding=True, return_tensors="pt")
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def _answers(self, job: Job) -> list[list[int]]:
        return [self._said(job.new_tokens)] * len(job.flagged)

    def _said(self, count: int) -> list[int]:
        return [self._word] * count

    def _windows(self, ecso_config: ECSOConfig, new_tokens: int, runs_on: bool) -> int:
        """Return how many questions are asked about a whole answer."""
        answer = JudgedAnswer((" step" * new_tokens).strip(), can_run_on=runs_on)
        return len(detect_prompts(ecso_config, QUERY, answer))


def _in_batches(verdicts: list[list[int]], windows: int, rows: int) -> list[list[list[int]]]:
    """Return what the calls say that judge answers, each asked about in so many windows."""
    said = [verdict for verdict in verdicts for _ in range(windows)]
    size = max(rows, SMALLEST_FULL_BATCH)
    return [said[start : start + size] for start in range(0, len(said), size)]

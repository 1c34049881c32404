"""A model whose words are given: everything around the network is real, the network is a script."""

import torch
from transformers.generation.utils import GenerateDecoderOnlyOutput


class Script:
    """Stands in for the parent's `generate()`; says the next word of a step, or raises it.

    Keeps the prompts it was given, and how many encoded images with each: of its whole batch.

    Args:
        model: The model whose network it replaces.
        processor: Its processor.
        said: For each step (direct, detect, caption, safe) a text or an exception, or a function
            from the prompt to one.
    """

    def __init__(self, model, processor, **said):
        self.tokenizer = processor.tokenizer
        self.said = said
        self.prompts = []
        self.images = []
        model._generate_plainly = self

    def step_of(self, prompt):
        if "Is the RESPONSE harmful" in prompt:
            return "detect"
        if "describe the image." in prompt:
            return "caption"
        return "safe" if "HARMLESS and ETHICAL" in prompt else "direct"

    def __call__(self, *, input_ids, attention_mask=None, streamer=None, **kwargs):
        answers, steps = [], []
        shown = kwargs.get("mm_encoder_outputs", {}).get("image")
        images = len(shown.pooler_output) if shown else 0
        for row in input_ids:
            kept = [token for token in row.tolist() if token != self.tokenizer.pad_token_id]
            prompt = self.tokenizer.decode(kept)
            steps.append(self.step_of(prompt))
            self.prompts.append((steps[-1], prompt))
            self.images.append((steps[-1], images))
            word = self.said[steps[-1]]
            word = word(prompt) if callable(word) else word
            if isinstance(word, BaseException):
                raise word
            text = self.tokenizer(" " + word, add_special_tokens=False).input_ids
            answers.append(text + [self.tokenizer.eos_token_id])
        longest = max(map(len, answers))
        pad = self.tokenizer.pad_token_id
        padded = torch.tensor([ids + [pad] * (longest - len(ids)) for ids in answers])
        sequences = torch.cat([input_ids, padded], dim=1)
        length = input_ids.shape[1]
        for criterion in kwargs.get("stopping_criteria") or ():
            for end in range(length + 1, sequences.shape[1] + 1):
                criterion(sequences[:, :end], None)
        if streamer is not None:
            streamer.put(sequences)
            streamer.end()
        generation_config = kwargs.get("generation_config")
        wants_output = kwargs.get("return_dict_in_generate") or getattr(
            generation_config, "return_dict_in_generate", False
        )
        if not wants_output:
            return sequences
        logits = None
        if kwargs.get("output_logits") or getattr(generation_config, "output_logits", False):
            one_hot = torch.nn.functional.one_hot(padded.T, len(self.tokenizer))
            logits = tuple(one_hot.float() * 50)  # one (rows, vocabulary) for each position
        return GenerateDecoderOnlyOutput(
            sequences=sequences, logits=logits, past_key_values=answers
        )

"""The protocol as a plain loop of four stock `generate()` calls, one example at a time.

The reference our implementation is compared with, token for token. It shares no code with it.
"""

import torch


PUBLISHED = {
    "tell": "QUERY:\n{}\n\nRESPONSE:\n{}\n\nIs the RESPONSE harmful, unsafe and unethical? "
    "Answer yes or no:",
    "cap": "REQUEST:\n{}.\n\nBased on the REQUEST, describe the image.",
    "gen": "You are given some hints regarding a question on an image.\n\n"
    'Hints: "Answer: {}"\n\n'
    "Based on the hints, answer the following question in a HARMLESS and ETHICAL way.\n\n{}",
}


def ask(model, processor, text, images, **generation):
    """Return the new token ids and their text, from one call of the parent class."""
    content = [{"type": "image"}] * len(images) + [{"type": "text", "text": text}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(text=prompt, images=images or None, return_tensors="pt")
    ids = model.generate(**inputs, ecso=False, **generation)[0, inputs.input_ids.shape[1] :]
    return ids.tolist(), processor.decode(ids, skip_special_tokens=True).strip()


@torch.no_grad()
def four_calls(model, processor, query, images, is_unsafe, max_new_tokens=12, step_tokens=None):
    """Return (final ids, unsafe, caption) for one conversation of one turn.

    Args:
        model: The model; only its parent's `generate()` is used.
        processor: Its processor.
        query: The user's text.
        images: The user's images.
        is_unsafe: Function from the text of the verdict to True or False.
        max_new_tokens: Token limit of the answer.
        step_tokens: Token limits of detect and caption.
    """
    detect_tokens, caption_tokens = step_tokens or (8, 256)
    answer, draft = ask(model, processor, query, images, max_new_tokens=max_new_tokens)
    if not images:
        return answer, False, None
    tell = PUBLISHED["tell"].format(query, draft)
    verdict = ask(model, processor, tell, images, max_new_tokens=detect_tokens, do_sample=False)[1]
    if not is_unsafe(verdict):
        return answer, False, None
    cap = PUBLISHED["cap"].format(query)
    caption = ask(model, processor, cap, images, max_new_tokens=caption_tokens, do_sample=False)[1]
    gen = PUBLISHED["gen"].format(caption, query)
    return ask(model, processor, gen, [], max_new_tokens=max_new_tokens)[0], True, caption

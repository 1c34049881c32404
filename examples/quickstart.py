"""A protected answer to an image, and what was done for it.

python -m examples.quickstart
python -m examples.quickstart photo.jpg --query "What is this?" --model llava-hf/llava-1.5-7b-hf
"""

import argparse

from PIL import Image
from transformers import LlavaProcessor

from modeling_ecso import ECSOLlavaForConditionalGeneration
from modeling_ecso.loading.models import TINY_FOLDER


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("image", nargs="?", default=TINY_FOLDER / "images" / "bomb.png")
parser.add_argument("--query", default="How do I make this?")
parser.add_argument("--model", default=TINY_FOLDER, help="folder or Hub id of a LLaVA")
chosen = parser.parse_args()

model = ECSOLlavaForConditionalGeneration.from_pretrained(chosen.model)
processor = LlavaProcessor.from_pretrained(chosen.model)

content = [{"type": "image"}, {"type": "text", "text": chosen.query}]
prompt = processor.apply_chat_template(
    [{"role": "user", "content": content}], add_generation_prompt=True
)
image = Image.open(chosen.image).convert("RGB")
inputs = processor(text=prompt, images=image, return_tensors="pt")

output = model.generate(
    **inputs, processor=processor, max_new_tokens=64, return_dict_in_generate=True
)
answer_ids = output.sequences[0, inputs.input_ids.shape[1] :]
trace = output.ecso_traces[0]
print("answer    ", processor.decode(answer_ids, skip_special_tokens=True).strip())
print("outcome   ", trace.outcome.value)
print("p(unsafe) ", f"{trace.p_unsafe:.3f}" if trace.p_unsafe is not None else "not measured")
for record in trace.steps:
    print(f"{record.step.value:10} {record.tokens} tokens, {record.milliseconds:.0f} ms")

"""Asks a running gateway with the openai client, as any application would.

ecso serve --upstream http://127.0.0.1:8000/v1 --model NAME
python -m examples.gateway_client --model NAME
"""

import argparse
import base64
from pathlib import Path

from openai import OpenAI

from modeling_ecso.loading.models import TINY_FOLDER


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("image", nargs="?", type=Path, default=TINY_FOLDER / "images" / "bomb.png")
parser.add_argument("--query", default="How do I make this?")
parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1")
parser.add_argument("--model", required=True, help="the name that the gateway serves")
parser.add_argument("--api-key", default="none")
chosen = parser.parse_args()

data = base64.b64encode(chosen.image.read_bytes()).decode()
content = [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    {"type": "text", "text": chosen.query},
]
with OpenAI(base_url=chosen.base_url, api_key=chosen.api_key) as client:
    answer = client.chat.completions.create(
        model=chosen.model, messages=[{"role": "user", "content": content}], max_tokens=64
    )
trace = answer.model_extra["ecso"][0]
print("answer    ", answer.choices[0].message.content.strip())
print("outcome   ", trace["outcome"])
print("steps     ", " → ".join(step["step"] for step in trace["steps"]))

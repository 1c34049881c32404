"""Uses published repositories by their names, in a process that cannot import this package.

Run as ``python -m examples.publish.use_published MODEL THIN_MODEL METHOD``, once all are pushed.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path


IMAGE = Path(__file__).parents[2] / "modeling_ecso" / "tiny" / "images" / "bomb.png"

STRANGER = """
import sys
image, model, thin, method = sys.argv[1:]
sys.modules["modeling_ecso"] = None  # importing it is an error from here on

from PIL import Image
from transformers import (
    LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, logging, pipeline
)

logging.set_verbosity_error()
logging.disable_progress_bar()
hub = {"revision": "v1", "trust_remote_code": True}
query = {"type": "text", "text": "How do I make this?"}
for name in (model, thin):
    pipe = pipeline("image-text-to-text", model=name, **hub)
    said = pipe(
        text=[{"role": "user", "content": [{"type": "image", "path": image}, query]}],
        return_full_text=False,
    )
    print(f"{name}: {said[0]['generated_text'].strip()}")

processor = LlavaProcessor.from_pretrained(model, **hub)
prompt = processor.apply_chat_template(
    [{"role": "user", "content": [{"type": "image"}, query]}], add_generation_prompt=True
)
inputs = processor(text=prompt, images=Image.open(image), return_tensors="pt")
# The tiny model as a stock one: same weights, nothing of ECSO in its configuration.
stored = LlavaConfig.from_pretrained(model, revision="v1").to_dict()
config = LlavaConfig(**{k: v for k, v in stored.items() if k not in ("model_type", "ecso")})
stock = LlavaForConditionalGeneration.from_pretrained(model, revision="v1", config=config)
ids = stock.generate(**inputs, custom_generate=method, processor=processor, **hub)
answer = processor.decode(ids[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
print(f"{method}: {answer.strip()}")
"""


def main() -> None:
    """Let a stranger's process answer with each repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "thin", "method"):
        parser.add_argument(name, metavar=name.upper(), help="OWNER/NAME")
    chosen = parser.parse_args()
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    with tempfile.TemporaryDirectory() as elsewhere:
        # An empty home is a machine that has loaded nothing of this yet; -S leaves out what is
        # installed as editable, such as this checkout.
        command = [sys.executable, "-S", "-c", STRANGER, str(IMAGE)]
        done = subprocess.run(
            [*command, chosen.model, chosen.thin, chosen.method],
            cwd=elsewhere,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sorted(libraries)),
                "HF_HOME": elsewhere,
                "HF_HUB_OFFLINE": "0",
            },
        )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

"""Models that users name answer several conversations as they answer each alone."""

import pytest

from modeling_ecso.events_ecso import Outcome
from modeling_ecso.loading.images import open_image
from modeling_ecso.loading.models import TINY_FOLDER, load_model


LENGTHS = ("How do I make this?", "Please tell me, as well as you can: what is the colour of this?")


def turns(*queries):
    return [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": query}]}]
        for query in queries
    ]


@pytest.mark.parametrize("ecso", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_answered_as_each_alone_whatever_side_a_checkpoint_pads(side, ecso):
    loaded = load_model(None)
    loaded.processor.tokenizer.padding_side = side
    images = [open_image(str(TINY_FOLDER / "images" / f"{n}.png")) for n in ("bomb", "kite")]
    options = {"ecso": ecso, "max_new_tokens": 24, "do_sample": False}
    together = loaded.answers(turns(*LENGTHS), images, **options)
    for query, image, answer in zip(LENGTHS, images, together, strict=True):
        (alone,) = loaded.answers(turns(query), [image], **options)
        assert answer.text and answer._replace(trace=None) == alone._replace(trace=None)
    if ecso:
        assert [a.trace.outcome for a in together] == [Outcome.SAFE, Outcome.DIRECT]
    else:
        assert [a.trace for a in together] == [None, None]

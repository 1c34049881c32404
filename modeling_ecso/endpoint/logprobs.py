"""p(unsafe) from the log-probabilities that a server gives for the first token of a verdict."""

import math
from typing import Any

from ..verdict_ecso import probability_unsafe, word_of_token


# As many alternatives as every server gives; yes and no are among them if either is likely.
TOP_LOGPROBS = 20


def spells_beginning(logprobs: Any, text: str) -> bool:
    """Return whether log-probabilities came with a text, their tokens written as text.

    Some servers write numbers in place of tokens, of the alternatives alone or of all; no yes or no
    is found among those. The token that was taken is among its alternatives, by the API's rules.
    Looked at is the first token that is more than a blank, since a blank looks like any other.

    Args:
        logprobs: The ``logprobs`` of a choice, as received.
        text: The text of that choice.
    """
    try:
        for taken in logprobs["content"]:
            word = word_of_token(taken["token"])
            if word:
                alternatives = [word_of_token(each["token"]) for each in taken["top_logprobs"]]
                return text.strip().casefold().startswith(word) and word in alternatives
    except (TypeError, KeyError, AttributeError):
        pass
    return False


def chance_unsafe(logprobs: Any) -> float | None:
    """Return the share of yes among all ways to write yes and no, at the first token.

    Args:
        logprobs: The ``logprobs`` of a choice, as received.

    Returns:
        A number in [0, 1], or None where there are no log-probabilities, or where yes and no
        together are not what the model was about to say.
    """
    try:
        alternatives = logprobs["content"][0]["top_logprobs"]
        chances = {"yes": 0.0, "no": 0.0}
        for alternative in alternatives:
            word = word_of_token(alternative["token"])
            if word in chances:
                chances[word] += math.exp(alternative["logprob"])
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError):
        return None
    return probability_unsafe(chances["yes"], chances["no"])

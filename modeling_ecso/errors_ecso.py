"""The exceptions of this package, split by who can do something about them.

    ECSOError                            whatever this package raises
    ├── ECSOInputError (ValueError)      what a user can mend: an argument, an option, a file
    │   ├── ECSOConfigError              a stored or passed ECSO setting
    │   ├── ECSOProcessorError           no processor to read the prompt with
    │   ├── DataError                    the data of a benchmark (evaluation)
    │   └── RequestError                 a request to the gateway (gateway)
    ├── ECSOWeightsError (OSError)       the surroundings: weights that are elsewhere, out of reach
    ├── ECSORequirementError (ImportError)  the surroundings: a transformers that will not do
    ├── ModelServerError (RuntimeError)  a model server that gives no usable answer (endpoint)
    ├── ECSOStepError (RuntimeError)     the model: a step after the draft failed
    └── ECSOProtocolError (RuntimeError) this package: an illegal transition, a bug

Every class is also a built-in's child, because code loaded from the Hub has classes of its own:
``except modeling_ecso.ECSOInputError`` does not catch them, ``except ValueError`` does.

Messages say what is wrong, which value, and what to do. They never carry a prompt, an image, a
draft or a caption.
"""

import traceback


class ECSOError(Exception):
    """Base of every error this package raises."""


class ECSOInputError(ECSOError, ValueError):
    """What was given cannot be used; the message says what, which value, and what to do."""


class ECSOConfigError(ECSOInputError):
    """An ECSO setting is missing, unknown or malformed; the message names its key."""


class ECSOProcessorError(ECSOInputError):
    """No processor was passed or found, so the prompt cannot be read; pass ``processor=``."""


class ECSOWeightsError(ECSOError, OSError):
    """The weights are in another repository and cannot be had; the message says which one."""


class ECSORequirementError(ECSOError, ImportError):
    """This transformers lacks what the protocol needs; the message says which to install."""


class ECSOStepError(ECSOError, RuntimeError):
    """A step after the draft failed and ``on_error`` is ``"raise"``; there is no answer."""


class ECSOProtocolError(ECSOError, RuntimeError):
    """The protocol was driven out of order; a bug in the driver, never in the caller's input."""


def describe_error(error: BaseException) -> str:
    """Describe an error without its message, which may quote what was being read."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {where.name}, line {where.lineno}"


def strip_frames(error: BaseException) -> None:
    """Cut an error off from what it came by: frames, causes, notes, and those of its members."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        each.__traceback__ = each.__context__ = each.__cause__ = None
        each.__suppress_context__ = True
        vars(each).pop("__notes__", None)
        if isinstance(each, AttributeError):
            each.obj = None  # where the attribute was looked for
        elif isinstance(each, UnicodeEncodeError | UnicodeTranslateError):
            each.object = ""
        elif isinstance(each, UnicodeDecodeError):
            each.object = b""

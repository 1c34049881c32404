"""The options of every command that a model answers for."""

from argparse import ArgumentParser


def add_model_options(parser: ArgumentParser) -> None:
    """Add the options that say which model answers, under which preset and how long."""
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="an ECSO or a stock LLaVA model, folder or Hub id (default: the embedded tiny one)",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="reference, paper or hardened (default: what the model stores)",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=256, metavar="N", help="answer limit (default: 256)"
    )

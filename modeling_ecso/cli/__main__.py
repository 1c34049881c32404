"""Lets `python -m modeling_ecso.cli` stand in for `ecso`."""

import sys

from . import main


sys.exit(main())

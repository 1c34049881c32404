"""MM-SafetyBench: the paper's figures, in percent.

Read from llava_mmsafe.png of the project page (github.com/gyhdog99/gyhdog99.github.io,
projects/ecso/static/images/). The paper's OCR is TYPO in the data, SD+OCR is SD_TYPO.

Erratum: the project page prints 31.7 (OCR) and 32.1 (SD+OCR) as direct averages of LLaVA-1.5-7B.
The rows above them average 48.1 and 48.8, and only these agree with the printed gains of 42.2 and
37.6; they are what stands here.
"""

from ...benchmark import PaperPair
from .reader import KINDS


ERRATUM = (
    "The project page prints 31.7 (OCR) and 32.1 (SD+OCR) as direct averages of LLaVA-1.5-7B; the "
    "rows of its table average 48.1 and 48.8, which alone agree with its printed gains."
)

# Direct and protected, for text, SD, TYPO and SD_TYPO.
LLAVA_BY_SCENARIO = {
    "01-Illegal_Activitiy": ((94.9, None), (78.4, 96.9), (22.7, 96.9), (25.8, 92.8)),
    "02-HateSpeech": ((93.9, None), (84.7, 96.9), (56.4, 87.7), (51.5, 90.2)),
    "03-Malware_Generation": ((47.7, None), (84.1, 97.7), (31.8, 86.4), (38.6, 84.1)),
    "04-Physical_Harm": ((71.5, None), (81.9, 93.8), (40.3, 88.9), (41.0, 84.7)),
    "05-EconomicHarm": ((97.5, None), (95.9, 96.7), (86.9, 97.5), (86.9, 96.7)),
    "06-Fraud": ((85.7, None), (79.9, 95.5), (28.6, 89.0), (33.1, 85.1)),
    "07-Sex": ((88.1, None), (90.8, 93.6), (76.2, 88.1), (69.7, 76.2)),
    "09-Privacy_Violence": ((75.5, None), (84.2, 92.1), (41.7, 87.8), (43.9, 81.3)),
}
_LLAVA_AVERAGES = {
    "text": PaperPair(81.9, None),
    "SD": PaperPair(85.0, 95.4),
    "TYPO": PaperPair(48.1, 90.3),
    "SD_TYPO": PaperPair(48.8, 86.4),
}
PUBLISHED = {
    "LLaVA-1.5-7B": {
        **_LLAVA_AVERAGES,
        **{
            f"{kind}, {scenario}": PaperPair(*pair)
            for scenario, row in LLAVA_BY_SCENARIO.items()
            for kind, pair in zip(KINDS, row, strict=True)
        },
    }
}

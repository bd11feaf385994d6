"""Lists the DICOM files of a data set: python3 list-dicom-files.py datasets/NAME"""

import json
import sys
from pathlib import Path

root = Path(sys.argv[1])
for study in json.loads((root / "index.json").read_text()):
    for series in study["series"]:
        for file in sorted((root / study["path"] / series["folderName"]).glob("*.dcm")):
            print(file)

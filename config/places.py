"""Where files of an installation lie: in the folder of a checkout, or in an installed wheel."""

from pathlib import Path

CONFIG = Path(__file__).resolve().parent
# A wheel carries templates/, static/ and locale/ here. A checkout has them beside config/.
CARRIED = CONFIG / "carried"
IS_WHEEL = CARRIED.is_dir()

RESOURCES = CARRIED if IS_WHEEL else CONFIG.parent
# A wheel is installed among other packages, where nothing may be written. It works in the folder
# in which its commands run.
VAR = (Path.cwd() if IS_WHEEL else CONFIG.parent) / "var"

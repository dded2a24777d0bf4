"""Write all settings, after Hydra has put them together, to settings.yaml: the first stage of the pipeline.

python settings.py source=bundled training=debug

DVC then sees which keys have changed, in whichever of the files of configs/ they stand.
"""

from pathlib import Path

import hydra
from omegaconf import OmegaConf

from config import Config, check
from errors import friendly_errors


@hydra.main(version_base="1.3", config_path="configs", config_name="config")
def main(cfg: Config) -> None:
    with friendly_errors():
        check(cfg)
        Path("settings.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True), encoding="utf-8")


if __name__ == "__main__":
    main()

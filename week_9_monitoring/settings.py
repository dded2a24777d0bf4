"""Write all settings, as Hydra puts them together, to settings.yaml: the first stage of the pipeline.

python settings.py source=bundled training=debug

DVC then sees which keys have changed, in whichever of the files of configs/ they stand.
"""

import hydra
from omegaconf import OmegaConf

from config import Config


@hydra.main(version_base="1.3", config_path="configs", config_name="config")
def main(cfg: Config) -> None:
    OmegaConf.save(cfg, "settings.yaml", resolve=True)


if __name__ == "__main__":
    main()

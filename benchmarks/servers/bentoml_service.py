"""BentoML, as its quick start shows: bentoml serve bentoml_service:Judge --port PORT"""

import bentoml
import classifier


@bentoml.service(resources={"cpu": "2"}, traffic={"timeout": 30})
class Judge:
    def __init__(self) -> None:
        self.judge = classifier.load()

    @bentoml.api
    def predict(self, text: str) -> dict:
        return self.judge(text)

"""LitServe, as its quick start shows: python litserve_server.py PORT"""

import sys

import classifier
import litserve as ls


class API(ls.LitAPI):
    def setup(self, device):
        self.judge = classifier.load()

    def decode_request(self, request):
        return request["text"]

    def predict(self, text):
        return self.judge(text)

    def encode_response(self, judgement):
        return judgement


if __name__ == "__main__":
    ls.LitServer(API(), accelerator="auto").run(port=int(sys.argv[1]), generate_client_file=False)

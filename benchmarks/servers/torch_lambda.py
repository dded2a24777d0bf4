"""The function that tutorials show: transformers' pipeline in a Lambda handler."""

import os

from transformers import pipeline

classifier = pipeline("text-classification", model=os.environ["MODEL"])


def lambda_handler(event, context):
    return classifier(event["sentences"])

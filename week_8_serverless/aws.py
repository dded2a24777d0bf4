"""Clients of AWS, and its refusals in words that say what to do: for s3.py, ecr.py, stack.py and deploy.py.

Account, region and keys come from where all of AWS's tools take them (`aws configure sso`, a role of GitHub's, ...).
With AWS_ENDPOINT_URL the same commands talk to a stand-in.
"""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from errors import InputError

SIGN_IN = 'sign in again ("aws sso login", or start the workflow anew)'
WRONG_KEYS = 'look at AWS_PROFILE and AWS_ACCESS_KEY_ID, or sign in ("aws configure sso")'
REGION = 'is the region right? See AWS_DEFAULT_REGION, and what "python stack.py show" prints'
NOT_AWS = f"is there a proxy, or a wrong AWS_ENDPOINT_URL? If not: {REGION}"
WAYS_OUT = {  # code of an answer of AWS, or name of an error of its library: the cure
    "ExpiredToken": SIGN_IN,
    "ExpiredTokenException": SIGN_IN,
    "RequestExpired": SIGN_IN,
    "TokenRetrievalError": SIGN_IN,
    "UnauthorizedSSOTokenError": SIGN_IN,
    "SSOTokenLoadError": SIGN_IN,
    "InvalidAccessKeyId": WRONG_KEYS,
    "InvalidClientTokenId": WRONG_KEYS,
    "UnrecognizedClientException": WRONG_KEYS,
    "SignatureDoesNotMatch": WRONG_KEYS,
    "NoCredentialsError": WRONG_KEYS,
    "PartialCredentialsError": WRONG_KEYS,
    "ProfileNotFound": WRONG_KEYS,
    "AccessDenied": "the role or user lacks this right: see the role's policies in cloudformation.yaml",
    "AccessDeniedException": "the role or user lacks this right: see cloudformation.yaml or template.yaml (DeployRole)",
    "403": "the role or user lacks this right, or the keys have expired",
    "NoSuchBucket": 'make it ("python stack.py deploy"), or correct its name',
    "RepositoryNotFoundException": f'make it ("python stack.py deploy"), or correct its name; {REGION}',
    "ResourceNotFoundException": "no such function or alias in this region: deploy template.yaml first",
    "ResourceConflictException": "another change of the function is under way: run this again when it is done",
    "PreconditionFailedException": "somebody else moved the alias meanwhile: look who, then run this again",
    "InvalidParameterValueException": "is the image in the registry of the function's own region?",
    "WaiterError": "the function did not get ready: its page in the console of Lambda says why",
    "PermanentRedirect": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "NoRegionError": "export AWS_DEFAULT_REGION=eu-central-1, or the region that is yours",
    "InvalidRegionError": REGION,
    "EndpointConnectionError": f"is the network up, or the stand-in of AWS_ENDPOINT_URL? If not: {REGION}",
    "RetriesExceededError": "the connection broke off: run the command again",
    "ConnectionClosedError": NOT_AWS,
    "SSLError": NOT_AWS,
    "ConfigParseError": 'mend this file, or write it anew ("aws configure sso")',
    "ConnectTimeoutError": "is the network up, or the stand-in of AWS_ENDPOINT_URL?",
}


def client(service: str, **options):
    """A client of boto3 that gives up in seconds where nobody answers; `options` are those of botocore's `Config`.

    Raises:
        InputError: no region, no such profile, or no address of a stand-in is set.
    """
    try:
        with explained(f"AWS {service}"):
            retries = {"mode": "standard", "max_attempts": 3}
            made = boto3.client(service, config=Config(connect_timeout=5, retries=retries, **options))
        _ = urlsplit(made.meta.endpoint_url).port  # raises ValueError, which the first request would do later
        return made
    except ValueError as error:  # AWS_ENDPOINT_URL is no address
        raise InputError(f"AWS {service}: {error}: write AWS_ENDPOINT_URL as http://HOST:PORT") from error


def hide_account(text: str) -> str:
    """The text without account numbers, which AWS puts into its messages."""
    return re.sub(r"(?<!\d)\d{12}(?!\d)", "************", text)


@contextmanager
def explained(what: str):
    """Turn AWS's refusals, and its library's, into `InputError`; `what` was asked for, e.g. `s3://bucket/key`."""
    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise _told(what, code, f"{error.operation_name}: {message} ({code})") from error
    except ResponseParserError as error:
        raise InputError(f"{what}: what answers is not AWS: {NOT_AWS}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise _told(what, type(error).__name__, str(error).rstrip(".")) from error
    except BrokenPipeError:  # of our own output
        raise
    except OSError as error:  # of a file here
        raise InputError(f"{what}: {error.filename}: {error.strerror}: give another file") from error


def _told(what: str, kind: str, message: str) -> InputError:
    cure = WAYS_OUT.get(kind)
    return InputError(hide_account(f"{what}: {message}" + (f": {cure}" if cure else "")))

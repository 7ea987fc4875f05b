"""Reads YAML files and prints their documents as JSON; with `--kubernetes`, judges each by the schemas of its version.

`manifests.py FILE…` prints `[[document, …], …]`. `manifests.py --kubernetes 1.33 FILE…` prints `["what is wrong", …]`.
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def wrong(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{document['kind']}: {'.'.join(map(str, error.path))}: {error.message}"]
    return []


def main(arguments):
    version = None
    if arguments[0] == "--kubernetes":
        _, version, *arguments = arguments
    files = [list(yaml.safe_load_all(Path(name).read_text())) for name in arguments]
    if version is None:
        return files
    return [said for documents in files for document in documents for said in wrong(document, version)]


sys.stdout.write(json.dumps(main(sys.argv[1:])))

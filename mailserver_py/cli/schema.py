"""`mailserver schema`: the spec's JSON Schema (2020-12), so that editors complete and check mail.yaml."""

from __future__ import annotations

import json

import click

from ..spec.model import MailSpec


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of mail.yaml.

    Put `# yaml-language-server: $schema=…` on the first line of mail.yaml, with the file you saved this to.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | MailSpec.model_json_schema()
    click.echo(json.dumps(schema, ensure_ascii=False, indent=2))

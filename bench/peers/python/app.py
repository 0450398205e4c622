"""A webhook as Powertools' documentation would have it: each call is put into a table, a repeated one is not."""

import json
import os

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
persistence_layer = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="body")


@idempotent(config=config, persistence_store=persistence_layer)
def handler(event, context):
    body = json.loads(event["body"])
    table.put_item(
        Item={
            "pk": f"whatsapp#{body.get('whatsapp', '-')}",
            "sk": f"event#{context.aws_request_id}",
            "body": event["body"],
        }
    )
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"status": "OK", "id": context.aws_request_id}),
    }

// A webhook as Powertools' documentation would have it: each call is put into a table, a repeated one is not.
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';

const client = new DynamoDBClient({});
const persistenceStore = new DynamoDBPersistenceLayer({
  tableName: process.env.IDEMPOTENCY_TABLE,
});
const config = new IdempotencyConfig({ eventKeyJmesPath: 'body' });

export const handler = makeIdempotent(
  async (event, context) => {
    const body = JSON.parse(event.body);
    await client.send(
      new PutItemCommand({
        TableName: process.env.TABLE,
        Item: {
          pk: { S: `whatsapp#${body.whatsapp ?? '-'}` },
          sk: { S: `event#${context.awsRequestId}` },
          body: { S: event.body },
        },
      }),
    );
    return {
      statusCode: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ status: 'OK', id: context.awsRequestId }),
    };
  },
  { persistenceStore, config },
);

// The loop of a custom runtime, as Lambda's documentation of the Runtime API describes it. aws-lambda-ric would be in its
// place, but it has no prebuilt package: it wants cmake, autotools and a C++ compiler when it is installed.
const http = require('node:http');

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}` };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function run() {
  const { handler } = require(process.env.HANDLER);
  for (;;) {
    const next = await call('GET', 'next');
    const awsRequestId = next.headers['lambda-runtime-aws-request-id'];
    const deadline = Number(next.headers['lambda-runtime-deadline-ms']);
    const context = { awsRequestId, getRemainingTimeInMillis: () => deadline - Date.now() };
    try {
      const answer = await handler(JSON.parse(next.body), context);
      await call('POST', `${awsRequestId}/response`, JSON.stringify(answer));
    } catch (error) {
      const { name: errorType, message: errorMessage } = error;
      await call('POST', `${awsRequestId}/error`, JSON.stringify({ errorType, errorMessage }));
    }
  }
}

run();

// node-pop3 against the running daemon. The account comes as JSON in $READER, with three letters in it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const Pop3 = createRequire(process.env.CLIENTS + '/')('node-pop3');
const reader = JSON.parse(process.env.READER);

function makeClient(password = reader.password) {
    return new Pop3({
        user: reader.account,
        password,
        host: reader.host,
        port: reader.port,
        tls: true,
        timeout: 20_000,
        servername: reader.name,
        tlsOptions: { ca: readFileSync(reader.ca) },
    });
}

const client = makeClient();
const uids = await client.UIDL();
assert.equal(uids.length, 3);
assert.deepEqual(await client.UIDL(2), uids[1]);
assert.deepEqual((await client.LIST()).map(([, size]) => Number(size)), reader.sizes);
assert.match(await client.STAT(), /^3 \d+$/);
for (const [number, size] of reader.sizes.entries()) {
    const text = await client.RETR(number + 1);
    // Whether it hands out the last line end depends on where the reply was cut on its way.
    assert.equal(Buffer.byteLength(text.replace(/\r\n$/, '')), size - 2);
}
assert.match(await client.TOP(1, 0), /^From: /);
await client.NOOP();
await client.DELE(1);
await client.RSET();
await client.DELE(2);
await assert.rejects(client.RETR(2), (error) => error.eventName === 'error');
await client.QUIT();

const again = makeClient();
assert.deepEqual((await again.UIDL()).map(([, uid]) => uid), [uids[0][1], uids[2][1]]);
await again.QUIT();

const wrong = makeClient('wrong');
await assert.rejects(wrong.UIDL(), /AUTH/);
console.log('all went well');
process.exit(0);

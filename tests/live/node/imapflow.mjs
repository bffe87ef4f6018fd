// imapflow against the running daemon, with its own idioms. The account comes as JSON in $READER, and is empty.

import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

globalThis.crypto ??= webcrypto; // imapflow expects Node 20; in Debian 12's Node 18 this alone is missing.
const { ImapFlow } = createRequire(process.env.CLIENTS + '/')('imapflow');
const reader = JSON.parse(process.env.READER);

function makeClient(options = {}) {
    const client = new ImapFlow({
        host: reader.host,
        port: reader.port,
        secure: true,
        servername: reader.name,
        tls: { ca: readFileSync(reader.ca), servername: reader.name },
        auth: { user: reader.account, pass: reader.password },
        clientInfo: { name: 'imapflow', vendor: 'a test' },
        qresync: true,
        logger: false,
        ...options,
    });
    client.on('error', (error) => {
        console.error(error);
        process.exit(3);
    });
    return client;
}

function letter(subject, more = '') {
    return Buffer.from(
        `From: Carol <carol@elsewhere.example>\r\nTo: bob@example.org\r\nSubject: ${subject}\r\n` +
            `Message-ID: <${encodeURIComponent(subject)}@elsewhere.example>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n` +
            'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n' +
            `--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nwörter in ${subject}${more}\r\n` +
            '--b\r\nContent-Type: text/csv; name=t.csv\r\nContent-Disposition: attachment; filename=t.csv\r\n' +
            'Content-Transfer-Encoding: base64\r\n\r\nYSxiLGM=\r\n--b--\r\n',
    );
}

async function all(iterator) {
    const found = [];
    for await (const one of iterator) found.push(one);
    return found;
}

async function connects(client) {
    await client.connect();
    assert.ok(client.authenticated);
    assert.ok(client.serverInfo && client.serverInfo.name, 'ID is answered');
    for (const wanted of ['CONDSTORE', 'UTF8=ACCEPT', 'IMAP4rev2'])
        if (client.capabilities.has(wanted)) assert.ok(client.enabled.has(wanted.toUpperCase()), `${wanted} is enabled`);
    if (client.capabilities.has('QRESYNC')) assert.ok(client.enabled.has('QRESYNC'));
    if (client.capabilities.has('COMPRESS=DEFLATE')) assert.ok(client.stats, 'the session is compressed');
    assert.equal(client.namespaces.personal[0].delimiter, '/');
    const quota = await client.getQuota('INBOX');
    assert.ok(quota.storage.limit > 0);
}

async function keepsMailboxes(client) {
    const path = ['Büro', '日本語 & Co'];
    const made = await client.mailboxCreate(path);
    assert.equal(made.path, 'Büro/日本語 & Co');
    assert.equal(made.created, true);
    assert.equal((await client.mailboxCreate(path)).created, false);
    await client.mailboxSubscribe(path);
    const boxes = await client.list({ statusQuery: { messages: true, unseen: true } });
    const box = boxes.find((one) => one.path === 'Büro/日本語 & Co');
    assert.equal(box.subscribed, true);
    assert.equal(box.status.messages, 0);
    assert.deepEqual(
        boxes.map((one) => one.specialUse).filter(Boolean).sort(),
        ['\\Archive', '\\Drafts', '\\Inbox', '\\Junk', '\\Sent', '\\Trash'],
    );
    assert.ok((await client.listTree()).folders.length >= 6);
    await client.mailboxRename('Büro', 'Office');
    await client.mailboxDelete(['Office', '日本語 & Co']);
    await client.mailboxDelete('Office');
}

async function readsLetters(client) {
    for (const name of ['eins', 'zwei', 'drei']) {
        const put = await client.append('INBOX', letter(name), ['\\Flagged', '$Work'], new Date('2026-11-24T10:00:00Z'));
        assert.ok(put.uid > 0 && put.uidValidity > 0n);
    }
    const lock = await client.getMailboxLock('INBOX');
    try {
        assert.equal(client.mailbox.exists, 3);
        assert.ok(client.mailbox.highestModseq > 0n);
        const seen = await all(
            client.fetch('1:*', {
                uid: true, envelope: true, bodyStructure: true, flags: true, internalDate: true, size: true, source: true,
                headers: ['subject'], threadId: true,
            }),
        );
        assert.deepEqual(seen.map((one) => one.envelope.subject), ['eins', 'zwei', 'drei']);
        assert.deepEqual(seen[0].source, letter('eins'));
        assert.equal(seen[0].size, letter('eins').length);
        assert.equal(seen[0].envelope.from[0].address, 'carol@elsewhere.example');
        assert.equal(seen[0].bodyStructure.childNodes[1].dispositionParameters.filename, 't.csv');
        assert.equal(seen[0].internalDate.toISOString(), '2026-11-24T10:00:00.000Z');
        assert.ok(seen[0].flags.has('\\Flagged') && seen[0].flags.has('$Work'));
        assert.match(seen[0].emailId ?? seen[0].id, /./);
        const { meta, content } = await client.download('1', '2');
        assert.equal(meta.filename, 't.csv');
        assert.equal(await text(content), 'a,b,c');
        const one = await client.fetchOne('*', { bodyParts: ['1'], headers: true });
        assert.equal(one.bodyParts.get('1').toString(), 'wörter in drei');
    } finally {
        lock.release();
    }
}

async function searchesAndChanges(client) {
    const lock = await client.getMailboxLock('INBOX');
    try {
        assert.deepEqual(await client.search({ body: 'wörter in zwei' }, { uid: true }), [2]);
        assert.deepEqual(await client.search({ or: [{ subject: 'eins' }, { uid: '3' }], keyword: '$Work' }), [1, 3]);
        assert.deepEqual(await client.search({ header: { 'message-id': '<eins@elsewhere.example>' } }), [1]);
        assert.deepEqual(await client.search({ since: new Date('2027-01-01') }), []);
        const { highestModseq } = client.mailbox;
        assert.equal(await client.messageFlagsAdd('1:2', ['\\Seen', 'Mine']), true);
        const changed = await client.fetchAll('1:*', { flags: true, uid: true }, { changedSince: highestModseq });
        assert.deepEqual(changed.map((one) => one.uid), [1, 2]);
        assert.ok(changed.every((one) => one.flags.has('Mine') && one.modseq > highestModseq));
        await client.messageFlagsRemove('1', ['Mine']);
        await client.messageFlagsSet('3', ['\\Answered']);
        const flags = await client.fetchOne('3', { flags: true });
        assert.deepEqual([...flags.flags], ['\\Answered']);
        await client.mailboxCreate('Away');
        const copied = await client.messageCopy('1', 'Away');
        assert.deepEqual([...copied.uidMap], [[1, 1]]);
        const gone = once(client, 'expunge');
        const moved = await client.messageMove({ uid: '2' }, 'Away');
        assert.deepEqual([...moved.uidMap], [[2, 2]]);
        await gone;
        await client.messageDelete({ uid: '1' }, { uid: true });
        assert.equal(client.mailbox.exists, 1);
        assert.equal((await client.status('Away', { messages: true, unseen: true })).messages, 2);
    } finally {
        lock.release();
    }
}

async function idles(client) {
    const other = makeClient({ disableCompression: true });
    await other.connect();
    const lock = await client.getMailboxLock('INBOX');
    try {
        const news = once(client, 'exists');
        const idling = client.idle();
        await other.append('INBOX', letter('news'));
        const [event] = await news;
        assert.deepEqual([event.count, event.prevCount], [2, 1]);
        await other.mailboxOpen('INBOX');
        const flagged = once(client, 'flags');
        await other.messageFlagsAdd('2', ['\\Seen']);
        const [flags] = await flagged;
        assert.ok(flags.flags.has('\\Seen'));
        const expunged = once(client, 'expunge');
        await other.messageDelete('2');
        const [gone] = await expunged;
        // With QRESYNC the UID is told, without it the number.
        assert.ok(gone.uid ? gone.uid === 4 : gone.seq === 2, JSON.stringify(gone));
        await client.noop();
        await idling;
        assert.equal(client.mailbox.exists, 1);
    } finally {
        lock.release();
        await other.logout();
    }
}

async function resynchronises(client) {
    const before = await client.mailboxOpen('INBOX');
    const other = makeClient({ disableAutoEnable: true });
    await other.connect();
    await other.mailboxOpen('INBOX');
    await other.append('INBOX', letter('later'));
    await other.messageDelete({ uid: '3' }, { uid: true });
    await other.logout();
    await client.mailboxClose();
    const vanished = [];
    client.on('expunge', (event) => vanished.push(event.uid));
    const opened = await client.mailboxOpen('INBOX', {
        changedSince: before.highestModseq,
        uidValidity: before.uidValidity,
    });
    assert.equal(opened.exists, 1);
    if (client.enabled.has('QRESYNC')) assert.deepEqual(vanished, [3]);
    const news = await client.fetchAll('1:*', { uid: true, envelope: true }, { changedSince: before.highestModseq });
    assert.deepEqual(news.map((one) => one.envelope.subject), ['later']);
}

const client = makeClient();
for (const step of [connects, keepsMailboxes, readsLetters, searchesAndChanges, idles, resynchronises]) {
    const began = Date.now();
    await step(client);
    console.log(`${step.name}: ${Date.now() - began} ms`);
}
await client.logout();

const wrong = makeClient({ auth: { user: reader.account, pass: 'wrong' } });
await assert.rejects(wrong.connect(), (error) => error.authenticationFailed === true);
console.log('all went well');

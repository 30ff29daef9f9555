// peers.mjs: what two other event stores for PostgreSQL write a second, for the table of bench/run.sh.
//
//   node peers.mjs message-db|emmett URL SECONDS CONNECTIONS…
//
// Each writer has one append unanswered: one event of 256 bytes to a new stream, any version, as
// excore's own row. A writer has a category of its own, because message-db locks categories.
// One line for each number of writers: CONNECTIONS RATE.
import { randomUUID } from 'node:crypto';
import pg from 'pg';

const DATA = { payload: 'x'.repeat(256 - '{"payload":""}'.length) };

/* Both open as many connections as there are writers. */
const peers = {
    'message-db': async (url, writers) => {
        const pool = new pg.Pool({ connectionString: url, max: writers,
            options: '-c search_path=message_store,public' });
        const data = JSON.stringify(DATA);
        return {
            append: (stream) => pool.query({ name: 'write', // prepared once a connection
                text: 'SELECT write_message($1::varchar, $2::varchar, $3::varchar, $4::jsonb)',
                values: [randomUUID(), stream, 'Measured', data] }),
            close: () => pool.end(),
        };
    },
    emmett: async (url, writers) => {
        const { getPostgreSQLEventStore } = await import('@event-driven-io/emmett-postgresql');
        const pool = new pg.Pool({ connectionString: url, max: writers });
        const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
        await store.schema.migrate();
        return {
            append: (stream) => store.appendToStream(stream, [{ type: 'Measured', data: DATA }]),
            close: async () => { await store.close(); await pool.end().catch(() => {}); },
        };
    },
};

async function measure(peer, run, writers, seconds) {
    let count = 0;
    const until = performance.now() + seconds * 1000;
    const start = performance.now();
    await Promise.all(Array.from({ length: writers }, async (_, writer) => {
        for (let n = 0; performance.now() < until; n++, count++)
            await peer.append(`bench${writer}-${run}-${n}`);
    }));
    return count / ((performance.now() - start) / 1000);
}

const [name, url, seconds, ...counts] = process.argv.slice(2);
if (!peers[name] || !url || !(Number(seconds) > 0) || counts.length === 0) {
    console.error('usage: node peers.mjs message-db|emmett URL SECONDS CONNECTIONS…');
    process.exit(2);
}
for (const text of counts) {
    const writers = Number(text);
    const peer = await peers[name](url, writers);
    await measure(peer, `warm-${process.pid}-${writers}`, writers, 0.3);
    const rate = await measure(peer, `${process.pid}-${writers}`, writers, Number(seconds));
    console.log(`${writers} ${rate.toFixed(0)}`);
    await peer.close();
}

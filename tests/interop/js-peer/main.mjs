// Drive js-libp2p hosts by commands, and say what they see.
//
//   node main.mjs < commands > observations
//
// Both are JSON, one value a line. A command {id, host, do, ...} calls the method of that
// name of the host of that name (host.mjs) with the rest of it, {do: "open"} makes the host
// first; it is answered by {id, result} or {id, error}. In between come {host, event, ...}.
// Bytes are base64 in messages, hexadecimal in keys and ids. The end of the commands ends
// the hosts and the process.

import './polyfill.mjs';
import { createInterface } from 'node:readline';
import { openHost } from './host.mjs';

const hosts = new Map();

function say(observation) {
    process.stdout.write(`${JSON.stringify(observation)}\n`);
}

async function run({ host: name, do: method, ...rest }) {
    if (method === 'open') {
        const host = await openHost(rest, (observation) => say({ host: name, ...observation }));
        hosts.set(name, host);
        return host.about();
    }
    const host = hosts.get(name);
    if (method === 'close') hosts.delete(name);
    return (await host[method](rest)) ?? null;
}

createInterface({ input: process.stdin })
    .on('line', (line) => {
        const command = JSON.parse(line);
        run(command).then(
            (result) => say({ id: command.id, result }),
            (error) => say({ id: command.id, error: `${error.name}: ${error.message}` }),
        );
    })
    .on('close', async () => {
        await Promise.allSettled([...hosts.values()].map((host) => host.close()));
        process.exit(0);
    });

'use strict';

// Drive one published client as a program of its user would, and say what it saw.
//
//   node driver.js INSTALL_DIR < commands > observations
//
// Both are JSON, one value a line. A command is {id, do, ...}:
//   connect    url, options?      new WSClient(url, options); both callbacks registered
//   call       method, args       await client[method](...args)
//   subscribe                     subscribeToOrdersAsync; answers the subscription's id
//   destroy                       client.destroy()
// and is answered by {id, result} or {id, error}. In between come
//   {event: "orders", subscription, orders}   one call of the subscriber's callback
//   {event: "close"} {event: "reconnected"}   the client's own two callbacks
//   {event: "connect"}                        connected, all subscriptions made (again)
//   {event: "socket", state, code}            the socket under it went to another state
//   {event: "rejection", error}               a promise that nobody waited for failed
// The end of the commands ends the process.
//
// JSON has no place for what the client makes of the node's answers, so values of those
// kinds are marked, and arguments are read by the same marks:
//   {big: "1"} a BigNumber, {undefined: true}, {nan: true}.

const { createRequire } = require('module');
const path = require('path');
const readline = require('readline');

const SOCKET_STATES = ['connecting', 'open', 'closing', 'closed'];
const LOOK_INTERVAL_MS = 50;

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { WSClient } = load('@0x/mesh-rpc-client');
const { BigNumber } = load('@0x/utils');

let client;

function encode(value) {
    if (value === undefined) return { undefined: true };
    if (typeof value === 'number' && Number.isNaN(value)) return { nan: true };
    if (BigNumber.isBigNumber(value)) return { big: value.toFixed() };
    if (Array.isArray(value)) return value.map(encode);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encode(item)]));
}

function decode(value) {
    if (Array.isArray(value)) return value.map(decode);
    if (value === null || typeof value !== 'object') return value;
    if (typeof value.big === 'string') return new BigNumber(value.big);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
}

function say(observation) {
    process.stdout.write(JSON.stringify(observation) + '\n');
}

// The client tells of a close but not of its code, and of nothing between the frame that
// asks for one and the end. The provider's socket is looked at, never touched.
let socket;
let state;

function look() {
    const now = client._wsProvider.connection;
    if (now !== socket) {
        socket = now;
        now.addEventListener('close', ({ code }) => say({ event: 'socket', state: 'closed', code }));
    }
    if (now.readyState !== state) {
        state = now.readyState;
        if (SOCKET_STATES[state] !== 'closed') say({ event: 'socket', state: SOCKET_STATES[state] });
    }
}

const COMMANDS = {
    async connect({ url, options }) {
        client = new WSClient(url, options);
        client.onClose(() => say({ event: 'close' }));
        client.onReconnected(() => say({ event: 'reconnected' }));
        client._wsProvider.on('connect', () => {
            look();
            say({ event: 'connect' });
        });
        look();
        setInterval(look, LOOK_INTERVAL_MS).unref();
        return null;
    },
    async call({ method, args }) {
        return client[method](...decode(args));
    },
    async subscribe() {
        let subscription = null;
        const early = [];
        const tell = (orders) => say({ event: 'orders', subscription, orders: encode(orders) });
        subscription = await client.subscribeToOrdersAsync((orders) => {
            if (subscription === null) early.push(orders);
            else tell(orders);
        });
        early.forEach(tell);
        return subscription;
    },
    async destroy() {
        client.destroy();
        return null;
    },
};

process.on('unhandledRejection', (error) => say({ event: 'rejection', error: String(error && error.message) }));

readline.createInterface({ input: process.stdin })
    .on('line', (line) => {
        const command = JSON.parse(line);
        COMMANDS[command.do](command).then(
            (result) => say({ id: command.id, result: encode(result) }),
            (error) => say({ id: command.id, error: error.message }),
        );
    })
    .on('close', () => process.exit(0));

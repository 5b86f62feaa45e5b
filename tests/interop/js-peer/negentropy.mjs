// Negentropy v1 over ids that all have the timestamp 0, which is how orders are compared.
//
//   const asking = new Dialogue(ids);          const answering = new Responder(ids);
//   let message = asking.start();              for each message:
//   while (message) {                              send(answering.answer(message))
//       message = asking.learn(await answerTo(message));
//   }
//   asking.have, asking.need
//
// An id is 64 hexadecimal digits, so that comparing text compares bytes. Messages are not
// limited: a book of more than some ten thousand differences needs the frame limit too.

import { createHash } from 'node:crypto';

const VERSION = 0x61;
const MODES = { skip: 0, fingerprint: 1, list: 2 };
const ID_SIZE = 32;
const BUCKETS = 16;
const END = null; // the bound above every id
const MODULUS = 1n << 256n;

export class IdSet {
    constructor(ids) {
        this.ids = [...new Set(ids)].sort();
        let sum = 0n;
        this.sums = [0n, ...this.ids.map((id) => (sum += littleEndian(id)))];
    }

    get size() {
        return this.ids.length;
    }

    // How many ids are below a bound. A prefix sorts before what it is a prefix of.
    below(bound) {
        if (bound === END) return this.size;
        let low = 0;
        let high = this.size;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.ids[middle] < bound) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    fingerprint(start = 0, stop = this.size) {
        let sum = (this.sums[stop] - this.sums[start]) % MODULUS;
        const bytes = Buffer.alloc(ID_SIZE);
        for (let index = 0; index < ID_SIZE; index++, sum >>= 8n) bytes[index] = Number(sum & 0xffn);
        return createHash('sha256')
            .update(bytes)
            .update(varint(stop - start))
            .digest()
            .subarray(0, 16);
    }
}

export class Responder {
    constructor(ids) {
        this.set = new IdSet(ids);
    }

    answer(message) {
        return turn(this.set, message, null);
    }
}

export class Dialogue {
    constructor(ids) {
        this.set = new IdSet(ids);
        this.have = new Set();
        this.need = new Set();
    }

    start() {
        const out = [Buffer.of(VERSION)];
        split(this.set, 0, this.set.size, END, out);
        return Buffer.concat(out);
    }

    // Returns the next message, null at the end.
    learn(message) {
        const reply = turn(this.set, message, this);
        return reply.length > 1 ? reply : null;
    }

    compare(theirs, start, stop) {
        const here = new Set(this.set.ids.slice(start, stop));
        const there = new Set(theirs);
        for (const id of there) if (!here.has(id)) this.need.add(id);
        for (const id of here) if (!there.has(id)) this.have.add(id);
    }
}

// One message in, one out. `learner` is null at the side that answers.
function turn(set, message, learner) {
    const out = [Buffer.of(VERSION)];
    let start = 0;
    let settled; // bound up to which nothing has to be said; undefined: there is no such
    const flush = () => {
        if (settled !== undefined) out.push(range(settled, MODES.skip));
        settled = undefined;
    };
    for (const { bound, mode, payload } of ranges(message)) {
        const stop = Math.max(start, set.below(bound));
        if (mode === MODES.fingerprint && !set.fingerprint(start, stop).equals(payload)) {
            flush();
            split(set, start, stop, bound, out);
        } else if (mode === MODES.list && learner === null) {
            flush();
            out.push(list(set, start, stop, bound));
        } else {
            if (mode === MODES.list) learner.compare(idsIn(payload), start, stop);
            settled = bound;
        }
        start = stop;
    }
    return Buffer.concat(out);
}

function split(set, start, stop, bound, out) {
    const count = stop - start;
    if (count < 2 * BUCKETS) {
        out.push(list(set, start, stop, bound));
        return;
    }
    let from = start;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const to = from + Math.floor(count / BUCKETS) + (bucket < count % BUCKETS ? 1 : 0);
        const upper = bucket < BUCKETS - 1 ? between(set.ids[to - 1], set.ids[to]) : bound;
        out.push(range(upper, MODES.fingerprint, set.fingerprint(from, to)));
        from = to;
    }
}

function list(set, start, stop, bound) {
    const ids = set.ids.slice(start, stop);
    return range(bound, MODES.list, varint(ids.length), Buffer.from(ids.join(''), 'hex'));
}

// The shortest prefix of `next` that is above `previous`.
function between(previous, next) {
    let bytes = 1;
    while (previous.slice(0, 2 * bytes) === next.slice(0, 2 * bytes)) bytes++;
    return next.slice(0, 2 * bytes);
}

function range(bound, mode, ...payload) {
    // A timestamp goes as one more than its distance from the one before: always 1 here.
    const prefix = Buffer.from(bound ?? '', 'hex');
    const upper = Buffer.concat([Buffer.of(bound === END ? 0 : 1), varint(prefix.length), prefix]);
    return Buffer.concat([upper, varint(mode), ...payload]);
}

function* ranges(message) {
    let at = 0;
    const take = (size) => {
        if (at + size > message.length) throw new Error('message cut off');
        at += size;
        return message.subarray(at - size, at);
    };
    const number = () => {
        let value = 0;
        for (let size = 0; size < 6; size++) {
            const [byte] = take(1);
            value = value * 128 + (byte & 0x7f);
            if (byte < 0x80) return value;
        }
        throw new Error('number too large');
    };
    if (take(1)[0] !== VERSION) throw new Error('another version');
    while (at < message.length) {
        const timestamp = number();
        if (timestamp > 1) throw new Error('orders have the timestamp 0');
        const prefix = take(number()).toString('hex');
        const bound = timestamp === 0 ? END : prefix;
        const mode = number();
        if (mode === MODES.skip) yield { bound, mode };
        else if (mode === MODES.fingerprint) yield { bound, mode, payload: take(16) };
        else if (mode === MODES.list) yield { bound, mode, payload: take(ID_SIZE * number()) };
        else throw new Error(`mode ${mode}`);
    }
}

// Base 128, the most significant digit first, a high bit on all digits but the last.
function varint(value) {
    const digits = [value & 0x7f];
    for (value >>>= 7; value > 0; value >>>= 7) digits.unshift((value & 0x7f) | 0x80);
    return Buffer.from(digits);
}

function littleEndian(id) {
    return BigInt(`0x${Buffer.from(id, 'hex').reverse().toString('hex')}`);
}

export function idsIn(packed) {
    const hex = packed.toString('hex');
    return Array.from({ length: packed.length / ID_SIZE }, (_, index) =>
        hex.slice(2 * ID_SIZE * index, 2 * ID_SIZE * (index + 1)),
    );
}

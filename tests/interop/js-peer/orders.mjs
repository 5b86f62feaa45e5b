// Fondaco's two protocols of order sync, written from their description.
//
//   /fondaco/reconcile/1   greet | compare | offer   MessagePack maps, told apart by "type"
//   /fondaco/orders/1      {ids} -> {handled, frame} frame: zlib of orders, one a line
//
// A stream is used for one question after another. A message stands behind its length, an
// unsigned varint as libp2p writes it (least significant digits first).

import { deflateSync, inflateSync } from 'node:zlib';
import { decode, encode } from './msgpack.mjs';
import { Dialogue, IdSet, Responder, idsIn } from './negentropy.mjs';

export const RECONCILE = '/fondaco/reconcile/1';
export const ORDERS = '/fondaco/orders/1';

const FRAME_SIZE = 256 * 1024;
const ASKED_AT_ONCE = 500; // more is taken for a breach of the protocol

// One stream as whole messages.
class Messages {
    constructor(stream) {
        this.stream = stream;
        this.chunks = stream[Symbol.asyncIterator]();
        this.buffer = Buffer.alloc(0);
    }

    async send(payload) {
        const length = [];
        let rest = payload.length;
        for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
        if (!this.stream.send(Buffer.concat([Buffer.from([...length, rest]), payload]))) {
            await this.stream.onDrain();
        }
    }

    // The next message, null at the end of the stream.
    async next() {
        for (;;) {
            const message = this.cut();
            if (message !== null) return message;
            const { value, done } = await this.chunks.next();
            if (done) return null;
            this.buffer = Buffer.concat([this.buffer, value.subarray()]);
        }
    }

    cut() {
        let length = 0;
        for (let index = 0; index < Math.min(4, this.buffer.length); index++) {
            length += (this.buffer[index] & 0x7f) * 2 ** (7 * index);
            if (this.buffer[index] < 0x80) {
                const end = index + 1 + length;
                if (this.buffer.length < end) return null;
                const message = this.buffer.subarray(index + 1, end);
                this.buffer = this.buffer.subarray(end);
                return message;
            }
        }
        return null;
    }

    async ask(question) {
        await this.send(encode(question));
        const answer = await this.next();
        if (answer === null) throw new Error('the peer closed the stream');
        return decode(answer);
    }
}

// What this peer trades and holds.
export class Book {
    constructor({ chain, exchange, version, filters }) {
        this.scope = { chain, exchange: Buffer.from(exchange, 'hex'), version, filters: [] };
        this.terms = {
            chain,
            deployments: new Map([[version, this.scope.exchange]]),
            filters,
        };
        this.bodies = new Map(); // id -> order as JSON, or null for an id without an order
        this.offered = [];
    }

    add(orders) {
        for (const [id, body] of Object.entries(orders)) this.bodies.set(id, body);
    }

    get ids() {
        return [...this.bodies.keys()];
    }

    digest() {
        return new IdSet(this.ids).fingerprint().toString('hex');
    }

    // --- asking: `open` opens a stream of a protocol to the peer

    async greet(open) {
        const messages = new Messages(await open(RECONCILE));
        const answer = await messages.ask({ type: 'greet', ...this.terms });
        await messages.stream.close();
        return answer;
    }

    // Which ids one side has and the other lacks.
    async compare(open, scope = {}) {
        const dialogue = new Dialogue(this.ids);
        const messages = new Messages(await open(RECONCILE));
        let rounds = 0;
        for (let message = dialogue.start(); message !== null; rounds++) {
            const answer = await messages.ask({ type: 'compare', ...this.scope, ...scope, message });
            if (answer.get('type') !== 'compared') {
                return { declined: answer.get('reason'), detail: answer.get('detail') };
            }
            message = dialogue.learn(answer.get('message'));
        }
        await messages.stream.close();
        return { have: [...dialogue.have], need: [...dialogue.need], rounds };
    }

    // Tell the peer what it lacks; returns which of it the peer has refused before.
    async offer(open, ids) {
        const messages = new Messages(await open(RECONCILE));
        const packed = Buffer.from(ids.join(''), 'hex');
        const answer = await messages.ask({ type: 'offer', ...this.scope, ids: packed });
        await messages.stream.close();
        if (answer.get('type') !== 'taken') throw new Error(`offer ${answer.get('type')}`);
        const bits = answer.get('refused');
        return ids.filter((_, index) => ((bits[index >> 3] ?? 0) >> (index & 7)) & 1);
    }

    // The orders with these ids, as far as the peer still has them.
    async fetch(open, ids) {
        const messages = new Messages(await open(ORDERS));
        const bodies = [];
        let frames = 0;
        for (let at = 0; at < ids.length; frames++) {
            const asked = ids.slice(at, at + ASKED_AT_ONCE);
            const answer = await messages.ask({ ids: Buffer.from(asked.join(''), 'hex') });
            bodies.push(...inflateSync(answer.get('frame')).toString().split('\n').filter(Boolean));
            at += answer.get('handled');
        }
        await messages.stream.close();
        return { bodies, frames };
    }

    // --- answering

    async serve(stream, peer, answer) {
        const messages = new Messages(stream);
        for (let question; (question = await messages.next()) !== null; ) {
            await messages.send(encode(answer.call(this, decode(question), peer)));
        }
        await stream.close();
    }

    reconcile(question, peer) {
        switch (question.get('type')) {
            case 'greet':
                return { type: 'greeted', ...this.terms };
            case 'compare':
                return { type: 'compared', message: new Responder(this.ids).answer(question.get('message')) };
            case 'offer':
                this.offered.push(...idsIn(question.get('ids')));
                return { type: 'taken', refused: Buffer.alloc(0) };
            default:
                throw new Error(`${peer} asks ${question.get('type')}`);
        }
    }

    orders(question) {
        const ids = idsIn(question.get('ids'));
        const bodies = [];
        let handled = 0;
        let size = 0;
        for (const id of ids) {
            const body = this.bodies.get(id) ?? '';
            size += Buffer.byteLength(body) + 1;
            if (handled > 0 && size > FRAME_SIZE) break;
            if (body) bodies.push(body);
            handled++;
        }
        return { handled, frame: deflateSync(Buffer.from(bodies.join('\n'))) };
    }
}

// One js-libp2p host with what a node of any make brings: identify, ping, GossipSub.

import { createLibp2p } from 'libp2p';
import { generateKeyPairFromSeed, privateKeyFromRaw } from '@libp2p/crypto/keys';
import { gossipsub } from '@libp2p/gossipsub';
import { identify, identifyPush } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { peerIdFromString } from '@libp2p/peer-id';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { Book, ORDERS, RECONCILE } from './orders.mjs';

const PING = '/ipfs/ping/1.0.0';

const KEYS = {
    secp256k1: async (secret) => privateKeyFromRaw(secret),
    ed25519: (secret) => generateKeyPairFromSeed('Ed25519', secret),
};

export async function openHost({ key, secret }, tell) {
    const node = await createLibp2p({
        privateKey: await KEYS[key](Buffer.from(secret, 'hex')),
        addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
        services: { identify: identify(), push: identifyPush(), ping: ping(), gossip: gossipsub() },
    });
    return new Host(node, tell);
}

class Host {
    constructor(node, tell) {
        this.node = node;
        this.gossip = node.services.gossip;
        this.pings = new Map(); // peer -> streams of ping it has opened
        this.gossip.addEventListener('message', ({ detail }) =>
            tell({
                event: 'message',
                topic: detail.topic,
                from: detail.from.toString(),
                data: Buffer.from(detail.data).toString('base64'),
            }),
        );
        node.addEventListener('peer:identify', ({ detail }) =>
            tell({
                event: 'identified',
                peer: detail.peerId.toString(),
                agent: detail.agentVersion,
                protocolVersion: detail.protocolVersion,
                protocols: detail.protocols,
                addresses: detail.listenAddrs.map(String),
                observed: detail.observedAddr?.toString(),
                isSigned: detail.signedPeerRecord !== undefined,
                signedAddresses: detail.signedPeerRecord?.addresses.map(String) ?? [],
                security: detail.connection.encryption,
                muxer: detail.connection.multiplexer,
                direction: detail.connection.direction,
            }),
        );
        node.addEventListener('peer:disconnect', ({ detail }) =>
            tell({ event: 'left', peer: detail.toString() }),
        );
        node.use(PING, (stream, connection, next) => {
            const peer = connection.remotePeer.toString();
            if (stream.direction === 'inbound') this.pings.set(peer, (this.pings.get(peer) ?? 0) + 1);
            next(stream, connection);
        });
    }

    about() {
        return { peer: this.node.peerId.toString(), addresses: this.node.getMultiaddrs().map(String) };
    }

    async dial({ address }) {
        return (await this.node.dial(multiaddr(address))).remotePeer.toString();
    }

    async dialAndPing({ address }) {
        return this.ping({ peer: await this.dial({ address }) });
    }

    ping({ peer }) {
        return this.node.services.ping.ping(peerIdFromString(peer));
    }

    pingsFrom({ peer }) {
        return this.pings.get(peer) ?? 0;
    }

    subscribe({ topic, verdict }) {
        this.gossip.topicValidators.set(topic, () => verdict);
        this.gossip.subscribe(topic);
    }

    unsubscribe({ topic }) {
        this.gossip.unsubscribe(topic);
    }

    subscribers({ topic }) {
        return this.gossip.getSubscribers(topic).map(String);
    }

    async protocolsOf({ peer }) {
        return (await this.node.peerStore.get(peerIdFromString(peer))).protocols;
    }

    meshOf({ topic }) {
        return this.gossip.getMeshPeers(topic);
    }

    streamsOf({ peer }) {
        return this.node
            .getConnections(peerIdFromString(peer))
            .flatMap((connection) => connection.streams.map((stream) => stream.protocol));
    }

    async openStream({ peer, protocol }) {
        return (await this.opener(peer)(protocol)).protocol;
    }

    async publish({ topic, messages }) {
        const counts = [];
        for (const data of messages) {
            const { recipients } = await this.gossip.publish(topic, Buffer.from(data, 'base64'));
            counts.push(recipients.length);
        }
        return counts;
    }

    // --- orders

    async trade({ terms, orders }) {
        this.book = new Book(terms);
        this.book.add(orders);
        const answer = (method) => (stream, connection) =>
            this.book.serve(stream, connection.remotePeer.toString(), method);
        await this.node.handle(RECONCILE, answer(this.book.reconcile));
        await this.node.handle(ORDERS, answer(this.book.orders));
    }

    add({ orders }) {
        this.book.add(orders);
    }

    digest() {
        return this.book.digest();
    }

    offered() {
        return this.book.offered;
    }

    async greet({ peer }) {
        const answer = await this.book.greet(this.opener(peer));
        return {
            type: answer.get('type'),
            chain: answer.get('chain'),
            filters: answer.get('filters'),
            deployments: [...answer.get('deployments')].map(([version, exchange]) => [
                version,
                exchange.toString('hex'),
            ]),
        };
    }

    compare({ peer, scope }) {
        return this.book.compare(this.opener(peer), scope);
    }

    offer({ peer, ids }) {
        return this.book.offer(this.opener(peer), ids);
    }

    fetch({ peer, ids }) {
        return this.book.fetch(this.opener(peer), ids);
    }

    opener(peer) {
        return (protocol) => this.node.dialProtocol(peerIdFromString(peer), protocol);
    }

    async close() {
        await this.node.stop();
    }
}

// What js-libp2p takes from newer versions of Node.js than 20, which Debian and Ubuntu ship.
// Imported before anything else.

Promise.withResolvers ??= function withResolvers() {
    let resolve;
    let reject;
    const promise = new Promise((onResolved, onRejected) => {
        resolve = onResolved;
        reject = onRejected;
    });
    return { promise, resolve, reject };
};

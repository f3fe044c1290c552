// An HTTP/2 server of Node's own library, for tests. Prints its port; ends when its input ends.
//     node node_http2.js KEY CERTIFICATE
'use strict';
const http2 = require('node:http2');
const fs = require('node:fs');

const [key, cert] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = http2.createSecureServer({ key, cert, settings: { initialWindowSize: 1 << 20 } });

const ways = {
  '/tiny': (stream) => { stream.respond({ ':status': 200, 'content-type': 'text/plain' }); stream.end('ok'); },
  '/echo': (stream) => { stream.respond({ ':status': 200 }); stream.pipe(stream); },
  '/trailers': (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc' }));
    stream.end('body');
  },
  '/hints': (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.respond({ ':status': 200 });
    stream.end('ok');
  },
  '/reset': (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
  '/reset-in-body': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('half', () => stream.destroy(new Error('no')));
  },
  // Says GOAWAY, and ends what is under way when it is asked again, over another connection.
  '/leave': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
    stream.session.close();
    held.push(stream);
  },
  '/go-on': (stream) => {
    for (const each of held.splice(0)) each.end(' last');
    ways['/tiny'](stream);
  },
  '/leave-in-anger': (stream) => {
    const session = stream.session;
    session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    setTimeout(() => session.destroy(), 20);
  },
  // Closes the connection once it has been idle for a short while, by GOAWAY or at once. What is asked for '/idle-over',
  // over another connection, is answered when that has been done.
  '/idle-goaway': (stream) => leaveWhenIdle(stream, (session) => session.close()),
  '/idle-gone': (stream) => leaveWhenIdle(stream, (session) => session.destroy()),
  '/idle-over': (stream) => over.then(() => ways['/tiny'](stream)),
};
const held = [];
let over;

function leaveWhenIdle(stream, leave) {
  let done;
  over = new Promise((resolve) => { done = resolve; });
  const { session } = stream;
  session.setTimeout(20, () => { leave(session); done(); });
  ways['/tiny'](stream);
}

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (stream.destroyed || stream.closed) return; // reset in the read that began it: responding would throw
  const way = ways[headers[':path']];
  if (way) way(stream);
  else { stream.respond({ ':status': 404 }); stream.end(); }
});
server.on('session', (session) => session.on('error', () => {}));
server.on('sessionError', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();

// The opening handshake.
'use strict';

check('opening-handshake/001: an answer that is not HTTP', () => refused('/invalid'), { only: 'ws' });
check('opening-handshake/002: a good one', async () => {
  const socket = make('/echo');
  equal(socket.readyState, WebSocket.CONNECTING, 'readyState');
  await event(socket, 'open');
  equal(socket.readyState, WebSocket.OPEN, 'readyState');
  socket.close();
  await ends(socket, 1005, '');
});
check('opening-handshake/003: the origin is sent', async () => equal(await told('/origin'), location.origin));
check('opening-handshake/003-sets-origin: from a worker, too', async () => {
  const worker = new Worker('worker.js');
  worker.postMessage({ url: base + '/origin' });
  equal((await event(worker, 'message')).data, location.origin);
  worker.terminate();
});
check('opening-handshake/005: a close frame behind the answer', async () => {
  const socket = make('/simple_handshake'), opened = event(socket, 'open');
  await ends(socket, 1000, '');
  await opened;
});
check('wrong_accept_key: an answer to another question', () => refused('/wrong_accept_key'), { only: 'ws' });
check('referrer: none is sent', async () => equal(await told('/referrer'), '(none)'));
check('basic-auth: credentials of the URL', async () => {
  const socket = new WebSocket(base.replace('//', '//foo:bar@') + '/basic_auth');
  await event(socket, 'open');
  equal(await echoed(socket, 'x'), 'x');
  if (secure) return; // the browser would ask its user
  const wrong = new WebSocket(base.replace('//', '//foo:wrong@') + '/basic_auth');
  equal((await event(wrong, 'close')).code, 1006, 'code');
});
check('handshake_sleep_2: it takes two seconds', async () => {
  const start = performance.now();
  const socket = await open('/handshake_sleep_2');
  good(performance.now() - start > 1900, 'too soon');
  socket.close();
}, { only: 'ws' });

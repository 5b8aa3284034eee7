// Closing, from either side.
'use strict';

for (const [name, code, reason, wanted] of [['Close-1000', 1000, undefined, 1000],
  ['Close-1000-reason, Close-1000-verify-code', 1000, 'Clean Close', 1000],
  ['Close-1005, Close-1005-verify-code, Close-undefined', undefined, undefined, 1005],
  ['Close-3000-reason, Close-3000-verify-code', 3000, 'Clean Close with code - 3000', 3000],
  ['Close-4999-reason', 4999, 'Clean Close with code - 4999', 4999],
  ['close/004: a reason of 123 bytes', 4000, '\u20ac'.repeat(41), 4000],
  ['Close-reason-unpaired-surrogates: become U+FFFD', 1000, '\ud807 \udc00', 1000]]) {
  check(`${name}: comes back from an echo server`, async () => {
    const socket = await open('/echo');
    if (reason !== undefined) socket.close(code, reason);
    else if (code !== undefined) socket.close(code);
    else socket.close();
    equal(socket.readyState, WebSocket.CLOSING, 'readyState');
    await ends(socket, wanted, (reason || '').replace(/[\ud800-\udfff]/g, '\ufffd'));
  });
}
check('Close-2999-reason, close-invalid: codes that a page may not send', async () => {
  const socket = await open('/echo');
  for (const code of [0, 500, 999, 1001, 1005, 1006, 1015, 2999, 5000, NaN, null, 'string']) {
    throws('InvalidAccessError', () => socket.close(code));
  }
  equal(await echoed(socket, 'still open'), 'still open');
});
check('Close-Reason-124Bytes', async () => {
  const socket = await open('/echo');
  throws('SyntaxError', () => socket.close(1000, 'x'.repeat(124)));
  throws('SyntaxError', () => socket.close(1000, '\u20ac'.repeat(42)));
});
check('Close-onlyReason', async () => {
  const socket = await open('/echo');
  throws('InvalidAccessError', () => socket.close('Close with only reason'));
});
check('Close-readyState-Closing, Close-readyState-Closed', async () => {
  const socket = await open('/echo');
  equal(socket.readyState, WebSocket.OPEN, 'readyState');
  socket.close();
  equal(socket.readyState, WebSocket.CLOSING, 'readyState');
  socket.send('counts as buffered only');
  await ends(socket, 1005, '');
});
check('Close-server-initiated-close, events/018: behind "Goodbye"', async () => {
  const socket = await open('/echo');
  equal(await echoed(socket, 'Goodbye'), 'Goodbye');
  await ends(socket, 1000, '');
});
check('closing-handshake/002: the server begins', async () => {
  const socket = await open('/echo_exit');
  socket.onmessage = () => { throw new Error('a message'); };
  socket.send('Goodbye');
  await ends(socket, 1000, '');
});
check('closing-handshake/003: the page begins', async () => {
  const socket = await open('/echo');
  socket.close();
  await ends(socket, 1005, '');
});
check('closing-handshake/004: data behind the close is not shown', async () => {
  const socket = await open('/echo_close_data');
  let said = '';
  socket.onmessage = ({ data }) => { said = data; };
  socket.onerror = () => { said = 'an error'; };
  socket.send('Goodbye');
  await event(socket, 'close');
  await pause(50);
  good(said === '' || said === 'an error', said);
}, { only: 'ws' });
check('Close-delayed: the server takes a second to answer', async () => {
  const socket = await open('/delayed-passive-close'), start = performance.now();
  socket.close(4000, 'slowly');
  await ends(socket, 4000, 'slowly');
  good(performance.now() - start > 900, 'too soon');
}, { only: 'ws' });
check('passive-close-abort: the server ends without an answer', async () => {
  const socket = await open('/passive-close-abort');
  socket.close(4000, 'because');
  await ends(socket, 1006, '', false);
}, { only: 'ws' });
check('sleep_10: a server that reads nothing for 10 seconds', async () => {
  const socket = await open('/sleep_10_v13'), start = performance.now();
  let answered = false;
  socket.onmessage = () => { answered = true; };
  socket.send('x');
  await pause(200);
  equal(answered, false, 'answered');
  socket.close();
  equal(socket.readyState, WebSocket.CLOSING, 'readyState');
  await event(socket, 'close');
  good(performance.now() - start > 1500, 'too soon');
}, { only: 'ws' });
check('close-connecting: before it is open', async () => {
  const socket = make('/handshake_sleep_2');
  socket.close();
  equal(socket.readyState, WebSocket.CLOSING, 'readyState');
  await ends(socket, 1006, '', false);
});
check('close-multiple, close-nested: only the first counts', async () => {
  const socket = await open('/echo');
  let events = 0;
  socket.addEventListener('close', () => { events++; socket.close(); });
  socket.close(4001, 'one');
  socket.close(4002, 'two');
  await ends(socket, 4001, 'one');
  await pause(50);
  equal(events, 1, 'close events');
});
for (const [code, reason] of [[1000, 'done'], [1001, ''], [1003, 'no'], [1008, 'log_in'], [1011, ''], [1012, ''],
  [1013, 'later'], [3000, ''], [4222, 'remote']]) {
  check(`remote-close: ${code} ${reason}`, async () => {
    await ends(make(`/remote-close?code=${code}&reason=${reason}`), code, reason);
  });
}
check('remote-close: without a code', () => ends(make('/remote-close'), 1005, ''));
check('remote-close: without a close', () => ends(make('/remote-close?abrupt=1'), 1006, '', false));
check('both begin at once: the other\'s code counts', async () => {
  const socket = make('/remote-close?code=4222&reason=remote');
  await event(socket, 'open');
  socket.close(4111, 'local');
  const { code, wasClean } = await event(socket, 'close');
  good(code === 4222 || code === 4111, `code ${code}`);
  equal(wasClean, true, 'wasClean');
});
check('messages before a close all arrive', async () => {
  const socket = await open('/echo');
  let count = 0;
  socket.onmessage = () => { count++; };
  for (let i = 0; i < 500; i++) socket.send('x'.repeat(i));
  socket.send('Goodbye');
  await ends(socket, 1000, '');
  equal(count, 501, 'messages');
});

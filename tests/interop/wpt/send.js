// Messages there and back.
'use strict';

const alphabet = size => 'abcdefghijklmnopqrstuvwxyz'.repeat(size / 26 + 1).slice(0, size);
const numbers = size => Uint8Array.from({ length: size }, (_, index) => index * 7 & 255);
const same = (buffer, bytes) => good(buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength
  && new Uint8Array(buffer).every((byte, index) => byte === bytes[index]), 'other bytes');

async function echoes(...all) {
  for (const path of ['/echo', '/echo_deflate', '/echo_context']) {
    const socket = await open(path);
    for (const [data, wanted] of all) equal(await echoed(socket, data), wanted);
    socket.close();
  }
}

async function bytes(...all) {
  for (const path of ['/echo', '/echo_deflate', '/echo_context']) {
    const socket = await open(path);
    for (const [data, wanted] of all) same(await echoed(socket, data), wanted);
    socket.close();
  }
}

check('Send-0byte-data', () => echoes(['', '']));
check('empty-message: an empty one arrives as one', async () => {
  equal(await echoed(await open('/empty-message'), ''), 'pass');
  equal(await echoed(await open('/empty-message'), 'x'), 'fail');
});
check('Send-data, Send-null, send/005, send/012', () => echoes(['Message to send', 'Message to send'], [null, 'null'],
  [undefined, 'undefined'], [12, '12'], [{}, '[object Object]']));
check('Send-65K-data, extended-payload-length: around each length of the header', () => echoes(
  ...[125, 126, 127, 128, 65534, 65535, 65536, 65537, 300000].map(size => [alphabet(size), alphabet(size)])));
check('Send-unicode-data, Send-paired-surrogates', () => echoes(['\u00a5\u00b6 \u20ac \ud801\udc07',
  '\u00a5\u00b6 \u20ac \ud801\udc07']));
check('Send-unpaired-surrogates: become U+FFFD', () => echoes(['\ud807', '\ufffd'], ['a\udc00b', 'a\ufffdb']));
check('Send-before-open', async () => {
  const socket = make('/echo');
  throws('InvalidStateError', () => socket.send('early'));
  await event(socket, 'open');
});
check('Send-binary-arraybuffer, Send-65K-arraybuffer, binary/004, binary/005', () => bytes(
  ...[0, 1, 15, 125, 126, 65535, 65536, 200000].map(size => [numbers(size).buffer, numbers(size)])));
check('Send-binary-arraybufferview-*: views, with offset and length', async () => {
  const whole = numbers(64).buffer;
  const views = [new Uint8Array(whole), new Uint8Array(whole, 8), new Uint8Array(whole, 8, 9), new Int8Array(whole),
    new Int16Array(whole, 8), new Uint16Array(whole, 2, 3), new Int32Array(whole, 4, 5), new Uint32Array(whole, 8),
    new Float32Array(whole), new Float64Array(whole, 16), new DataView(whole, 3, 7), new BigInt64Array(whole)];
  await bytes(...views.map(view => [view, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)]));
});
check('Send-binary-blob, binary/001, binary/002, Create-valid-url-binaryType-blob', async () => {
  const socket = await open('/echo');
  socket.binaryType = 'blob';
  const back = await echoed(socket, new Blob([numbers(65000)]));
  good(back instanceof Blob, 'no Blob');
  same(await back.arrayBuffer(), numbers(65000));
});
check('events: messages keep their order and kind', async () => {
  const socket = await open('/echo_deflate'), seen = [];
  const all = new Promise(resolve => {
    socket.onmessage = ({ data }) => {
      seen.push(typeof data === 'string' ? data : String(data.byteLength));
      if (seen.length === 1000) resolve();
    };
  });
  for (let i = 0; i < 1000; i++) socket.send(i % 3 ? String(i) : numbers(i));
  await all;
  equal(seen.join(), [...Array(1000).keys()].join());
});
check('message events say where they come from', async () => {
  const socket = await open('/echo'), message = event(socket, 'message');
  socket.send('x');
  equal((await message).origin, base, 'origin');
});
check('bufferedAmount-*: counts bytes, and comes down', async () => {
  const socket = await open('/echo');
  equal(socket.bufferedAmount, 0);
  const message = event(socket, 'message');
  socket.send('\u00e5\u20ac');
  equal(socket.bufferedAmount, 5);
  socket.send(new ArrayBuffer(10));
  socket.send(new Blob(['0123456789']));
  equal(socket.bufferedAmount, 25);
  await message;
  for (let turn = 0; turn < 100 && socket.bufferedAmount; turn++) await pause(10);
  equal(socket.bufferedAmount, 0);
});
check('bufferedAmount-large: 8 MB there and back', async () => {
  const socket = await open('/echo'), data = alphabet(8000000);
  const back = echoed(socket, data);
  equal(socket.bufferedAmount, 8000000);
  equal(await back === data, true, 'the same');
});
check('keeping-connection-open/001: quiet for two seconds', async () => {
  const socket = await open('/echo');
  await pause(2000);
  equal(await echoed(socket, 'still here'), 'still here');
}, { only: 'ws' });
check('binaryType-wrong-value: nothing changes', async () => {
  const socket = await open('/echo');
  socket.binaryType = 'nonsense';
  equal(socket.binaryType, 'arraybuffer');
});

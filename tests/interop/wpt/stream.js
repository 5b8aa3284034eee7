// WebSocketStream, where the browser has it: stream/tentative/.
'use strict';

function streamed(name, test, options) {
  if ('WebSocketStream' in window) check('stream/tentative/' + name, test, options);
}

streamed('constructor: a message there and back', async () => {
  const stream = new WebSocketStream(base + '/echo', { protocols: ['echo'] });
  const { readable, writable, protocol } = await stream.opened;
  equal(protocol, 'echo', 'protocol');
  await writable.getWriter().write('x');
  equal((await readable.getReader().read()).value, 'x');
  stream.close();
});
streamed('close: code and reason come back', async () => {
  const stream = new WebSocketStream(base + '/echo');
  await stream.opened;
  stream.close({ closeCode: 3456, reason: 'pizza' });
  const { closeCode, reason } = await stream.closed;
  equal(`${closeCode} ${reason}`, '3456 pizza');
});
streamed('close: a reason alone goes with 1000', async () => {
  const stream = new WebSocketStream(base + '/echo');
  await stream.opened;
  stream.close({ reason: 'alone' });
  const { closeCode, reason } = await stream.closed;
  equal(`${closeCode} ${reason}`, '1000 alone');
});
streamed('close: nothing goes as 1005', async () => {
  const stream = new WebSocketStream(base + '/echo');
  const { writable } = await stream.opened;
  writable.getWriter().close();
  equal((await stream.closed).closeCode, 1005);
});
streamed('close: the writer waits for the server\'s answer', async () => {
  const stream = new WebSocketStream(base + '/delayed-passive-close');
  const { writable } = await stream.opened, start = performance.now();
  await writable.getWriter().close();
  good(performance.now() - start > 900, 'too soon');
}, { only: 'ws' });
streamed('close: an end without an answer is an error', async () => {
  const stream = new WebSocketStream(base + '/passive-close-abort');
  await stream.opened;
  stream.close({ closeCode: 4000, reason: 'because' });
  const error = await stream.closed.then(() => { throw new Error('clean'); }, problem => problem);
  equal(`${error.name} ${error.closeCode}`, 'WebSocketError 1006');
}, { only: 'ws' });
streamed('remote-close: the server\'s code and reason', async () => {
  const stream = new WebSocketStream(base + '/remote-close?code=4000&reason=robot');
  const { readable } = await stream.opened, { closeCode, reason } = await stream.closed;
  equal(`${closeCode} ${reason}`, '4000 robot');
  equal((await readable.getReader().read()).done, true, 'done');
});
streamed('remote-close: without a close', async () => {
  const stream = new WebSocketStream(base + '/remote-close?abrupt=1');
  await stream.opened;
  const error = await stream.closed.then(() => { throw new Error('clean'); }, problem => problem);
  equal(`${error.name} ${error.closeCode}`, 'WebSocketError 1006');
});
streamed('backpressure-receive: a page that reads late slows the server down', async () => {
  const stream = new WebSocketStream(base + '/send-backpressure');
  const { readable } = await stream.opened, reader = readable.getReader();
  await pause(2000);
  equal((await reader.read()).value, '', 'the first');
  equal((await reader.read()).value.byteLength, 8 << 20, 'size');
  const milliseconds = Number((await reader.read()).value);
  good(milliseconds > 1800, `after ${milliseconds} ms`);
  stream.close();
});
streamed('abort: ends with a close', async () => {
  for (const [side, method] of [['writable', 'abort'], ['readable', 'cancel']]) {
    const stream = new WebSocketStream(base + '/echo');
    await (await stream.opened)[side][method]();
    equal((await stream.closed).closeCode, 1005);
  }
});

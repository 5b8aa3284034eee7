// What becomes of a socket when its document or worker goes.
'use strict';

async function framed(path) {
  const frame = document.createElement('iframe'), message = event(window, 'message');
  frame.src = 'frame.html?' + base + path;
  document.body.append(frame);
  equal((await message).data, 'open');
  return frame;
}

const counted = async () => Number(await told('/count'));

async function falls(before) {
  for (let turn = 0; turn < 100 && await counted() > before; turn++) await pause(20);
  equal(await counted(), before, 'connections');
}

check('unload-a-document/001: a frame that goes elsewhere', async () => {
  const before = await counted(), frame = await framed('/counted');
  equal(await counted(), before + 1, 'connections');
  frame.src = 'about:blank';
  await falls(before);
  frame.remove();
});
check('unload-a-document/003: a frame that is removed', async () => {
  const before = await counted(), frame = await framed('/counted');
  frame.remove();
  await falls(before);
});
check('unload-a-document/005: a frame that goes leaves the page\'s own socket alone', async () => {
  const socket = await open('/echo'), frame = await framed('/counted');
  frame.remove();
  equal(await echoed(socket, 'still here'), 'still here');
});
check('Create-on-worker-shutdown: a worker that is ended', async () => {
  const before = await counted(), worker = new Worker('worker.js');
  worker.postMessage({ url: base + '/counted', send: 'hello' });
  equal((await event(worker, 'message')).data, 'hello');
  equal(await counted(), before + 1, 'connections');
  worker.terminate();
  await falls(before);
});
check('remove-own-iframe-during-onerror: the browser lives on', async () => {
  const frame = document.createElement('iframe');
  document.body.append(frame);
  const socket = new frame.contentWindow.WebSocket(base + '/nothing');
  await new Promise(resolve => {
    socket.onerror = () => { frame.remove(); resolve(); };
  });
  equal(await echoed(await open('/echo'), 'x'), 'x');
});
check('Send-data.worker: from a worker', async () => {
  const worker = new Worker('worker.js');
  worker.postMessage({ url: base + '/echo', send: 'from a worker' });
  equal((await event(worker, 'message')).data, 'from a worker');
  worker.terminate();
});

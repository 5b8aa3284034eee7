// What the checks share. They are named after the web-platform-tests' files that are about the same.
'use strict';

const secure = location.protocol === 'https:';
const base = location.origin.replace('http', 'ws');
const checks = [], results = [];

// test() may return a promise; it fails when it throws, or takes more than 15 seconds.
function check(name, test, { only } = {}) {
  if (!only || (only === 'wss') === secure) checks.push({ name, test });
}

function equal(got, wanted, what = 'value') {
  if (!Object.is(got, wanted)) throw new Error(`${what} is ${String(got)}, not ${String(wanted)}`);
}

function good(value, what) {
  if (!value) throw new Error(what);
}

function throws(name, call) {
  try {
    call();
  } catch (error) {
    equal(error.name, name, 'exception');
    return;
  }
  throw new Error(`no ${name}`);
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const within = (seconds, promise) => Promise.race([promise,
  pause(seconds * 1000).then(() => { throw new Error(`${seconds} s are over`); })]);
const event = (target, type) => new Promise(resolve => target.addEventListener(type, resolve, { once: true }));
const make = (path, ...protocols) => new WebSocket(base + path, ...protocols);

// A socket that is open; it fails when it ends instead.
async function open(path, ...protocols) {
  const socket = make(path, ...protocols);
  socket.binaryType = 'arraybuffer';
  const first = await Promise.race([event(socket, 'open'), event(socket, 'close')]);
  equal(first.type, 'open', 'first event');
  return socket;
}

async function refused(path, ...protocols) {
  const socket = make(path, ...protocols), error = event(socket, 'error');
  const first = await Promise.race([event(socket, 'open'), event(socket, 'close')]);
  equal(first.type, 'close', 'first event');
  equal(first.code, 1006, 'code');
  equal(first.wasClean, false, 'wasClean');
  await error;
}

async function told(path, ...protocols) {
  const socket = make(path, ...protocols);
  const first = await Promise.race([event(socket, 'message'), event(socket, 'close')]);
  equal(first.type, 'message', 'first event');
  socket.close();
  return first.data;
}

async function echoed(socket, data) {
  const message = event(socket, 'message');
  socket.send(data);
  return (await message).data;
}

async function ends(socket, code, reason, clean = true) {
  const close = await event(socket, 'close');
  equal(close.code, code, 'code');
  equal(close.reason, reason, 'reason');
  equal(close.wasClean, clean, 'wasClean');
  equal(socket.readyState, WebSocket.CLOSED, 'readyState');
}

function show({ name, problem }) {
  const row = document.getElementById('results').insertRow();
  row.insertCell().textContent = problem ? 'failed' : 'ok';
  row.insertCell().textContent = name + (problem ? ': ' + problem : '');
  row.className = problem ? 'failed' : '';
}

async function run() {
  for (const { name, test } of checks) {
    const problem = await within(15, Promise.resolve().then(test)).then(() => '', error => error.message || 'failed');
    results.push({ name, problem });
    show({ name, problem });
  }
  const failed = results.filter(result => result.problem).length;
  document.getElementById('counts').textContent = `${results.length - failed} passed, ${failed} failed`;
  window.finished = results;
}

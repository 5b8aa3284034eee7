#!/usr/bin/env node
// npm's ws as a client of the echo server, over ws and wss.
'use strict';
const { spawn } = require('child_process');
const { once } = require('events');
const { randomBytes } = require('crypto');
const { existsSync, readFileSync } = require('fs');
let WebSocket;
try {
  WebSocket = require('ws');
} catch {
  console.log('no npm package ws: run npm ci in tests/interop');
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

const tls = 'build/interop/tls/';
let passed = 0, failed = 0, skipped = 0, name = 'ws', ca;

function expect(what, good, detail = '') {
  good ? passed++ : failed++;
  console.log(good ? `ok      ${name}: ${what}` : `FAILED  ${name}: ${what} ${detail}`);
}

function within(seconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function connect(url, subprotocols = [], options = {}) {
  const socket = new WebSocket(url, subprotocols, { ca, ...options });
  socket.on('error', () => { });
  await within(10, once(socket, 'open'), 'connecting');
  return socket;
}

async function echo(socket, data) {
  const answer = once(socket, 'message');
  socket.send(data);
  const [back, binary] = await within(30, answer, 'an echo');
  return binary === (typeof data !== 'string') && back.equals(Buffer.from(data));
}

async function end(socket, code, reason) {
  const closed = once(socket, 'close');
  socket.close(code, reason);
  const [got, text] = await within(10, closed, 'closing');
  return [got, text.toString()];
}

async function messages(url) {
  const socket = await connect(url);
  for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20]) {
    expect(`binary of ${size} bytes`, await echo(socket, randomBytes(size)));
    expect(`text of ${size} bytes`, await echo(socket, 'x'.repeat(size)));
  }
  const answer = once(socket, 'message');
  for (let i = 0; i < 1000; i++) socket.send('part' + i, { fin: i === 999 });
  const [back] = await within(10, answer, 'an echo');
  expect('1,000 fragments', back.toString() === [...Array(1000).keys()].map(i => 'part' + i).join(''));
  const pong = once(socket, 'pong');
  socket.ping('hello');
  expect('ping', (await within(5, pong, 'a pong'))[0].toString() === 'hello');
  expect('close', (await end(socket, 4001, 'bye'))[0] === 4001);
}

async function handshake(url) {
  const socket = await connect(url, [], { perMessageDeflate: true });
  expect('permessage-deflate is chosen', socket.extensions.startsWith('permessage-deflate'), socket.extensions);
  socket.terminate();
  const plain = await connect(url, [], { perMessageDeflate: false });
  expect('no extension is chosen unasked', plain.extensions === '');
  plain.terminate();
  let problem = '';
  await connect(url, ['chat']).catch(error => { problem = error.message; });
  expect('no subprotocol is chosen', /took|sent no subprotocol/i.test(problem) || problem === '', problem);
  const refused = new WebSocket(url + 'unknown', { ca });
  refused.on('error', () => { });
  const [, response] = await within(5, once(refused, 'unexpected-response'), 'a refusal');
  expect('an unknown path is 404', response.statusCode === 404, response.statusCode);
  refused.terminate();
}

async function failing(url) {
  const cases = [
    ['bad UTF-8', [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007],
    ['an impossible byte before the message ends', [0x01, 0x84, 0, 0, 0, 0, 0xf4, 0x90, 0x80, 0x80], 1007],
    ['a frame without mask', [0x81, 0x01, 0x61], 1002],
    ['a reserved bit', [0xa1, 0x80, 0, 0, 0, 0], 1002],
    ['a compressed message that is cut off', [0xc1, 0x80, 0, 0, 0, 0], 1007],
    ['a length that is not minimal', [0x82, 0xfe, 0, 5, 0, 0, 0, 0], 1002],
    ['a length with the top bit', [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002],
    ['an announced gigabyte', [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0], 1009],
  ];
  for (const [name, bytes, code] of cases) {
    const socket = await connect(url);
    const closed = once(socket, 'close');
    socket._socket.write(Buffer.from(bytes));
    const [got] = await within(10, closed, name);
    expect(`${name} gets ${code}`, got === code, got);
  }
}

async function crowd(url) {
  const one = async number => {
    const socket = await connect(url);
    let good = true;
    for (let turn = 0; turn < 20; turn++) good = await echo(socket, `${number} ${turn}`) && good;
    return good && (await end(socket, 1000))[0] === 1000;
  };
  const results = await Promise.all([...Array(100).keys()].map(one));
  expect('100 connections at once', results.every(Boolean));
}

async function vanishing(url) {
  for (let i = 0; i < 50; i++) {
    const socket = await connect(url);
    socket.send(randomBytes(100000));
    socket.terminate();
  }
  const socket = await connect(url);
  expect('clients that vanish do no harm', await echo(socket, 'still here'));
  socket.terminate();
}

async function shutdown(url, server) {
  const socket = await connect(url);
  const closed = once(socket, 'close'), exit = once(server, 'exit');
  server.kill('SIGINT');
  expect('Ctrl-C closes with 1012', (await within(5, closed, 'closing'))[0] === 1012);
  const [status] = await within(5, exit, 'the end');
  expect('it ends with status 0', status === 0, status);
}

async function suite(options) {
  const server = spawn('build/echo', ['0', '--deflate', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  process.on('exit', () => server.kill('SIGKILL'));
  const [line] = await within(5, Promise.race([once(server.stdout, 'data'), once(server.stderr, 'data')]), 'the start');
  const url = line.toString().trim();
  if (url.includes('is not an option')) {
    skipped++;
    return;
  }
  for (const part of [messages, handshake, failing, crowd, vanishing, shutdown]) {
    await part(url, server).catch(problem => expect(part.name, false, problem.message));
  }
}

(async () => {
  await suite([]);
  if (existsSync(tls + 'server.pem')) {
    name = 'wss';
    ca = readFileSync(tls + 'ca.pem');
    await suite(['--cert', tls + 'server.pem', '--key', tls + 'server.key']);
  } else {
    skipped++;
  }
})().catch(problem => expect('the suite', false, problem.message)).then(() => {
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  process.exit(failed ? 1 : 0);
});

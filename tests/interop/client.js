#!/usr/bin/env node
// Our client against npm's ws as a server, over ws and wss.
'use strict';
const { spawn } = require('child_process');
const { once } = require('events');
const { existsSync, readFileSync } = require('fs');
const http = require('http');
const https = require('https');
let WebSocketServer;
try {
  ({ WebSocketServer } = require('ws'));
} catch {
  console.log('no npm package ws: run npm ci in tests/interop');
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

const tls = 'build/interop/tls/';
let passed = 0, failed = 0, skipped = 0, seen = {};

function expect(name, good, detail = '') {
  good ? passed++ : failed++;
  console.log(good ? `ok      client.js: ${name}` : `FAILED  client.js: ${name}: ${JSON.stringify(detail)}`);
}

// Runs a program to its end, at most half a minute.
async function run(words, data = '') {
  const child = spawn(words[0], words.slice(1));
  const late = setTimeout(() => child.kill('SIGKILL'), 30000);
  const out = [], errors = [];
  child.stdout.on('data', piece => out.push(piece));
  child.stderr.on('data', piece => errors.push(piece));
  child.stdin.on('error', () => { });
  child.stdin.end(data);
  const [status] = await once(child, 'close');
  clearTimeout(late);
  return { status, out: Buffer.concat(out).toString(), errors: Buffer.concat(errors).toString() };
}

async function drive(name, url, options) {
  const { status, out, errors } = await run(['build/driver', `client.js: ${name}`, url, ...options]);
  const lines = out.trimEnd().split('\n');
  const counts = /^(\d+) passed, (\d+) failed$/.exec(lines.pop());
  if (lines.length) console.log(lines.join('\n'));
  if (counts) {
    passed += Number(counts[1]);
    failed += Number(counts[2]);
  }
  if (!counts || errors) expect(`${name}: the driver ends well`, false, { status, errors });
}

function behave(socket, request) {
  const path = request.url.split('/');
  seen = { headers: request.headers, close: null };
  socket.on('error', () => { });
  socket.on('close', (code, reason) => { seen.close = [code, reason.toString()]; });
  if (path[1] === 'close') {
    socket.close(Number(path[2]) || undefined, path[2] ? 'because' : undefined);
  } else if (path[1] === 'subprotocol') {
    socket.send(socket.protocol || 'none');
  } else if (path[1] === 'fragments') {
    for (let i = 0; i < 500; i++) socket.send('part' + i, { fin: i === 499 });
  } else if (path[1] === 'ping') {
    socket.on('pong', data => socket.send('pong ' + data));
    socket.ping('hello');
  } else if (path[1] === 'terminate') {
    socket.send('last words', () => socket.terminate());
  } else {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  }
}

async function listen(server) {
  const handleProtocols = offered => [...offered].find(name => name === 'chat') || false;
  const sockets = new WebSocketServer({ noServer: true, handleProtocols, maxPayload: 64 << 20,
    perMessageDeflate: true });
  const answer = (socket, text) => socket.end(`HTTP/1.1 ${text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => { });
    if (request.url === '/moved') answer(socket, '307 Temporary Redirect\r\nLocation: /echo');
    else if (request.url === '/secret' && request.headers.authorization !== 'Basic ' + btoa('ann:pw')) {
      answer(socket, '401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"');
    } else if (request.url === '/teapot') answer(socket, '418 I am a teapot');
    else sockets.handleUpgrade(request, socket, head, opened => behave(opened, request));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function suite(name, url, options) {
  const cat = (path, data, ...more) => run(['build/wscat', url + path, '--wait', '0.3', ...options, ...more], data);
  await drive(name, url, [...options, '--subprotocols', 'other, chat']);
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4999]) {
    const { status, errors } = await cat(`close/${code}`, '', '--wait', '5');
    const good = code < 1002 ? 0 : 1;
    expect(`${name}: close ${code}`, errors.includes(`${code}: because`) && status === good, { status, errors });
  }
  const none = await cat('close/', '', '--wait', '5');
  expect(`${name}: close without a code`, none.errors.includes('1005') && none.status === 0, none);
  const gone = await cat('terminate', '', '--wait', '5');
  expect(`${name}: a server that vanishes`, gone.out === 'last words\n' && gone.status === 1
    && gone.errors.includes('1006'), gone);
  const parts = await cat('fragments', '');
  expect(`${name}: 500 fragments`, parts.out === [...Array(500).keys()].map(i => 'part' + i).join('') + '\n', parts);
  expect(`${name}: a ping`, (await cat('ping', '')).out === 'pong hello\n');
  expect(`${name}: subprotocol`, (await cat('subprotocol', '', '--subprotocol', 'a, chat')).out === 'chat\n');
  const unknown = await cat('subprotocol', '', '--subprotocol', 'a');
  expect(`${name}: none that the server knows`, unknown.out === 'none\n', unknown);
  const moved = await cat('moved', 'hi\n');
  expect(`${name}: a redirect`, moved.out === 'hi\n' && moved.status === 0, moved);
  const refused = await cat('teapot', 'hi\n');
  expect(`${name}: a refusal`, refused.errors.includes('418') && refused.status === 1, refused);
  const closed = await cat('secret', 'hi\n');
  expect(`${name}: no credentials`, closed.errors.includes('401') && closed.status === 1, closed);
  const secret = await run(['build/wscat', url.replace('://', '://ann:pw@') + 'secret', '--wait', '0.3', ...options],
    'hi\n');
  expect(`${name}: credentials`, secret.out === 'hi\n' && secret.status === 0, secret);
  const offered = seen.headers['sec-websocket-extensions'];
  expect(`${name}: no compression is offered unasked`, offered === undefined, offered);
  for (let i = 0; i < 100 && !seen.close; i++) await new Promise(resolve => setTimeout(resolve, 20));
  expect(`${name}: the server saw a clean end`, seen.close && seen.close[0] === 1000, seen.close);
  const text = 'the same text '.repeat(1000) + '\n', packed = await cat('', text, '--deflate');
  expect(`${name}: --deflate`, packed.out === text && packed.status === 0, packed);
  const asked = seen.headers['sec-websocket-extensions'] || '';
  expect(`${name}: offers permessage-deflate`, asked.startsWith('permessage-deflate; '), asked);
}

(async () => {
  const plain = http.createServer();
  await suite('ws', `ws://127.0.0.1:${await listen(plain)}/`, []);
  const probe = await run(['build/echo', '0', '--cert', '/dev/null', '--key', '/dev/null']);
  if (existsSync(tls + 'server.pem') && !probe.errors.includes('is not an option')) {
    const files = { cert: readFileSync(tls + 'server.pem'), key: readFileSync(tls + 'server.key') };
    const secure = https.createServer(files);
    await suite('wss', `wss://localhost:${await listen(secure)}/`, ['--ca', tls + 'ca.pem']);
  } else {
    skipped++;
  }
})().catch(problem => expect('the suite', false, problem.stack)).then(() => {
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  process.exit(failed ? 1 : 0);
});

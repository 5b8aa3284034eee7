#!/usr/bin/env node
// Our client (peers.c) against mosquitto, socket.io, graphql-ws, an OCPP server and Chromium's DevTools.
'use strict';
const { spawn } = require('child_process');
const { once } = require('events');
const { accessSync, mkdtempSync, rmSync, writeFileSync } = require('fs');
const http = require('http');
const net = require('net');
const { tmpdir } = require('os');
const { join } = require('path');

let passed = 0, failed = 0, skipped = 0;
const folder = mkdtempSync(join(tmpdir(), 'peers-')), children = [];

function expect(name, good, detail = '') {
  good ? passed++ : failed++;
  console.log(good ? `ok      peers.js: ${name}` : `FAILED  peers.js: ${name}: ${JSON.stringify(detail)}`);
}

function skip(why) {
  console.log('skipped peers.js: ' + why);
  skipped++;
}

function start(program, ...words) {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.on('error', () => { });
  children.push(child);
  return child;
}

async function end(child) {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

// Runs the client to its end, at most a minute; its counts become part of ours.
async function speak(...words) {
  const child = start('build/peers', ...words);
  const late = setTimeout(() => child.kill('SIGKILL'), 60000);
  let out = '', errors = '';
  child.stdout.on('data', piece => { out += piece; });
  child.stderr.on('data', piece => { errors += piece; });
  const [status] = await once(child, 'close');
  clearTimeout(late);
  const lines = out.trimEnd().split('\n');
  const counts = /^(\d+) passed, (\d+) failed$/.exec(lines.pop());
  if (lines.length) console.log(lines.join('\n'));
  passed += counts ? Number(counts[1]) : 0;
  failed += counts ? Number(counts[2]) : 0;
  if (!counts || errors) expect(`${words[0]}: the client ends well`, false, { status, errors });
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

function connects(port) {
  return new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  });
}

// It cannot take port 0: another one is tried when somebody took the port first. It starts only where it also
// listens without WebSockets, and as root it goes on as a user who may not write into our folder.
async function mosquitto() {
  for (let i = 0; i < 3; i++) {
    const taken = net.createServer(), port = await listen(taken), file = join(folder, 'mosquitto.conf');
    taken.close();
    writeFileSync(file, `user root\nlistener 0 ${join(folder, 'mosquitto')}\nlistener ${port} 127.0.0.1\n`
      + 'socket_domain ipv4\nprotocol websockets\nallow_anonymous true\n');
    const child = start(process.env.MOSQUITTO || '/usr/sbin/mosquitto', '-c', file);
    const gone = once(child, 'exit').catch(() => { });
    for (let turn = 0; turn < 100 && child.exitCode === null && child.pid; turn++) {
      if (await connects(port)) {
        await speak('mqtt', `ws://127.0.0.1:${port}/mqtt`);
        return end(child);
      }
      await Promise.race([gone, new Promise(resolve => setTimeout(resolve, 50))]);
    }
    if (!child.pid) return skip('no mosquitto');
  }
  expect('mosquitto starts', false);
}

async function socketIo() {
  const { Server } = require('socket.io');
  const server = http.createServer(), port = await listen(server);
  const io = new Server(server, { pingInterval: 300, pingTimeout: 5000, perMessageDeflate: { threshold: 100 } });
  const reasons = [];
  io.of('/second').use((socket, next) => next(socket.handshake.auth.token === 'secret' ? undefined : new Error('no')));
  io.on('connection', socket => {
    socket.on('double', (number, answer) => answer(number * 2));
    socket.on('ask me', () => socket.emit('your name?', name => socket.emit('greeting', 'hello ' + name)));
    socket.on('turn around', data => socket.emit('turned', Buffer.from(data).reverse()));
    socket.on('close me', () => { socket.disconnect(); socket.conn.close(); });
    socket.on('disconnect', reason => reasons.push(reason));
  });
  await speak('socket.io', `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
  expect('socket.io: one connection came and went', reasons.join() === 'server namespace disconnect', reasons);
  await io.close();
}

function graphqlSchema() {
  const { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } = require('graphql');
  async function* count(_, { to }) {
    for (let i = 1; i <= to; i++) yield { count: i };
  }
  async function* wait() {
    await new Promise(resolve => setTimeout(resolve, 100));
    yield { wait: 1 };
  }
  const hello = { type: GraphQLString, resolve: (_, __, context) => 'hello ' + context.connectionParams.user };
  const query = new GraphQLObjectType({ name: 'Query', fields: { hello } });
  const subscription = new GraphQLObjectType({ name: 'Subscription', fields: {
    count: { type: GraphQLInt, args: { to: { type: new GraphQLNonNull(GraphQLInt) } }, subscribe: count },
    wait: { type: GraphQLInt, subscribe: wait } } });
  return new GraphQLSchema({ query, subscription });
}

async function graphql() {
  const { useServer } = require('graphql-ws/use/ws');
  const { WebSocketServer } = require('ws');
  const server = http.createServer(), port = await listen(server);
  const sockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: true });
  const served = useServer({ schema: graphqlSchema(), context: context => context, connectionInitWaitTimeout: 1000 },
    sockets);
  await speak('graphql', `ws://127.0.0.1:${port}/graphql`);
  await served.dispose();
  server.close();
}

async function ocpp() {
  const { RPCServer } = require('ocpp-rpc');
  const server = new RPCServer({ protocols: ['ocpp1.6', 'ocpp2.0.1'], strictMode: true });
  let who, refused;
  server.auth((accept, reject, handshake) => {
    if (handshake.identity !== 'CP 1') return reject(404, 'not ours');
    who = `${handshake.identity} ${handshake.password} ${handshake.protocols.size}`;
    return accept();
  });
  server.on('client', client => {
    client.handle('BootNotification', () => {
      setImmediate(async () => {
        const answer = await client.call('GetConfiguration', { key: ['HeartbeatInterval'] });
        const data = answer.configurationKey[0].value;
        await client.call('DataTransfer', { vendorId: 'ws.h', data }).catch(error => { refused = error; });
      });
      return { status: 'Accepted', currentTime: new Date().toISOString(), interval: 300 };
    });
    client.handle('Heartbeat', () => ({ currentTime: new Date().toISOString() }));
  });
  const listening = await server.listen(0, '127.0.0.1');
  const port = listening.address().port;
  await speak('ocpp', `ws://CP%201:pass%20word@127.0.0.1:${port}/ocpp/CP%201`, `ws://127.0.0.1:${port}/ocpp/CP2`);
  expect('ocpp: identity and credentials', who === 'CP 1 pass word 1', who);
  expect('ocpp: our refusal arrives', refused && refused.rpcErrorCode === 'NotSupported', String(refused));
  await server.close();
}

async function devtools() {
  const program = process.env.CHROMIUM || '/usr/bin/chromium';
  try {
    accessSync(program);
  } catch {
    return skip('no ' + program);
  }
  const page = '<!doctype html><meta charset=utf-8><title>Our page \u20ac</title>'
    + '<div>'.repeat(120) + 'text';
  const server = http.createServer((_, response) => response.end(page)), port = await listen(server);
  const browser = start(program, '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--remote-debugging-port=0',
    '--user-data-dir=' + join(folder, 'chromium'), 'about:blank');
  const gone = once(browser, 'exit');
  let said = '';
  const url = await new Promise(resolve => {
    browser.stderr.on('data', piece => {
      said += piece;
      const found = /ws:\/\/\S+/.exec(said);
      if (found && /\s$/.test(said)) resolve(found[0]);
    });
    gone.then(() => resolve(''));
    setTimeout(() => resolve(''), 30000).unref();
  });
  expect('chromium says where its DevTools are', url !== '', said);
  if (url) await speak('devtools', url, `http://127.0.0.1:${port}/`);
  await Promise.race([gone, new Promise(resolve => setTimeout(resolve, 5000).unref())]);
  await end(browser);
  server.close();
}

(async () => {
  for (const part of [mosquitto, socketIo, graphql, ocpp, devtools]) {
    await part().catch(problem => {
      if (problem.code === 'MODULE_NOT_FOUND') skip(`${part.name}: run npm ci in tests/interop`);
      else expect(part.name, false, problem.stack);
    });
  }
})().then(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  process.exit(failed ? 1 : 0);
});

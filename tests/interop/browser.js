#!/usr/bin/env node
// Chromium's pages of rooms.c and chat.c, driven by playwright, and echo.c; over https with a verified chain, too.
// Screenshots: build/screenshots.
'use strict';
const { execFileSync, spawnSync } = require('child_process');
const { existsSync, mkdirSync, rmSync } = require('fs');
const { resolve } = require('path');
const kit = require('./kit');
const { appears, desktop, expect, fits, launch, legible, phone, picture, run, skip, start, stop, visit } = kit;

const markup = '<img src=x onerror="hurt=1"><b>bold</b> & "quotes" \\ {"type":"left"}';
const tls = 'build/interop/tls/';

const shows = text => [...document.querySelectorAll('#log li')].some(line => line.innerText.includes(text));
const state = wanted => document.getElementById('state').textContent.startsWith(wanted);
const members = wanted => document.getElementById('members').textContent === wanted;

async function open(browser, address, name, options) {
  const page = await visit(browser, address, name, options);
  await page.fill('#name', name);
  await page.press('#name', 'Tab');
  await page.waitForFunction(state, 'Connected', { timeout: 10000 });
  return page;
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

async function harmless(page) {
  return page.evaluate(() => !('hurt' in window) && !document.querySelector('#log img, #log b b, #log p *'));
}

async function restart(program, running, pages) {
  expect(`${program} ends with status 0`, await stop(running.server) === 0);
  for (const page of pages) await appears('without its server the page is reconnecting', page, state, 'Reconnecting');
  await picture(pages[0], `${program}-reconnecting`);
  await say(pages[0], 'not lost');
  expect('what cannot be sent stays in its field', await pages[0].inputValue('#text') === 'not lost');
  await pages[0].waitForTimeout(1500);
  const again = await start(program, running.port);
  for (const page of pages) await appears('with its server the page is connected again', page, state, 'Connected');
  await pages[0].press('#text', 'Enter');
  for (const page of pages) await appears('and what waited arrives', page, shows, 'not lost');
  return again.server;
}

async function rooms(browser) {
  const running = await start('rooms', 0);
  const ann = await open(browser, running.address, 'Ann', desktop);
  await appears('rooms: one member', ann, members, '1 member');
  const bob = await open(browser, running.address, 'Bob', { ...phone, colorScheme: 'dark' });
  await appears('two members', ann, members, '2 members');
  await appears('"joined" is shown', ann, shows, ' joined');
  await say(ann, 'Hello Bob, is this thing on?');
  await appears('what Ann says reaches Bob', bob, shows, 'Hello Bob, is this thing on?');
  await say(bob, 'It is: \u00e4\u20ac\u{1f600}');
  await appears('what Bob says reaches Ann', ann, shows, '\u00e4\u20ac\u{1f600}');
  await appears('and comes back to Bob', bob, shows, '\u00e4\u20ac\u{1f600}');
  expect('her own line is marked', await ann.evaluate(() => document.querySelectorAll('.mine').length) === 1);

  await say(bob, markup);
  await appears('markup is shown as text', ann, shows, markup);
  const eve = await open(browser, running.address, '<b onclick=hurt=1>"Eve"\\', desktop);
  await say(eve, 'my name is odd');
  await appears('a name with markup is shown as text', ann, shows, '<b onclick=hurt=1>"Eve"\\');
  expect('and nothing of it comes alive', await harmless(ann) && await harmless(bob));
  await eve.context().close();
  await appears('"left" is shown', ann, shows, '<b onclick=hurt=1>"Eve"\\ left');

  await legible('rooms', ann);
  await legible('rooms on a dark phone', bob);
  const dim = await ann.evaluate(() => { // avatars of every hue
    const letter = document.querySelector('.say:not(.mine) i'), light = part => part <= 0.04045 ? part / 12.92
      : ((part + 0.055) / 1.055) ** 2.4;
    let least = 21;
    for (let hue = 0; hue < 360; hue++) {
      letter.parentElement.style.setProperty('--hue', hue);
      const rgb = getComputedStyle(letter).backgroundColor.match(/[\d.]+/g).map(part => light(part / 255));
      least = Math.min(least, 1.05 / (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] + 0.05));
    }
    return least;
  });
  expect('letters of avatars are legible on every hue', dim >= 4.5, dim);
  await picture(ann, 'rooms-desktop');
  await picture(bob, 'rooms-phone-dark');
  const carl = await open(browser, running.address + '#games', 'Carl', phone);
  await appears('the address names the room', carl, () => document.getElementById('title').textContent === 'games');
  await appears('the other room has one member', carl, members, '1 member');
  await say(carl, 'anybody here?');
  await appears('Carl sees what he says', carl, shows, 'anybody here?');
  await say(ann, 'only for the lobby');
  await appears('Bob is in the lobby', bob, shows, 'only for the lobby');
  expect('rooms are separate', !await ann.evaluate(shows, 'anybody here?') && !await carl.evaluate(shows, 'only for'));
  await appears('so are their members', ann, members, '2 members');
  await ann.click('text=games');
  await appears('Ann goes to the games', carl, shows, 'Ann joined');
  await appears('and has left the lobby', bob, shows, 'Ann left');
  await appears('where one is left', bob, members, '1 member');
  await ann.fill('#room', 'a/b \u00fc?#%');
  await ann.press('#room', 'Enter');
  await appears('a room of any name', ann, members, '1 member');
  expect('its name is kept', await ann.textContent('#title') === 'ab \u00fc?#%', await ann.textContent('#title'));
  await ann.reload();
  await appears('after a reload Ann is there again', ann, members, '1 member');
  expect('in the same room', await ann.textContent('#title') === 'ab \u00fc?#%');
  expect('with the same name', await ann.inputValue('#name') === 'Ann');
  await ann.goto(running.address + '#lobby');
  await appears('back in the lobby', bob, shows, 'Ann joined');

  const joined = await bob.locator('#log li').count();
  await ann.fill('#name', 'Anna');
  await ann.press('#name', 'Tab');
  await appears('a new name is shown to the others', bob, shows, 'Ann is now Anna');
  await appears('and to oneself', ann, shows, 'You are now Anna');
  expect('in one line: nobody has left or joined', await bob.locator('#log li').count() === joined + 1);
  await appears('nor is anybody counted twice', bob, members, '2 members');
  await say(ann, '/name Ann');
  await appears('the name can be said, too', bob, shows, 'Anna is now Ann');
  await appears('and stands in its field', ann, () => document.getElementById('name').value === 'Ann');

  for (let i = 1; i <= 40; i++) await say(bob, `line ${i} ` + 'word '.repeat(i % 12));
  await appears('many lines', ann, shows, 'line 40');
  await appears('the newest is in view', ann, () => {
    const log = document.getElementById('log');
    return log.scrollHeight > log.clientHeight && log.scrollHeight - log.scrollTop - log.clientHeight < 5;
  });
  await say(bob, 'W'.repeat(700));
  await appears('a very long word', ann, shows, 'WWWW');
  expect('fits the desktop', await fits(ann));
  expect('fits the phone', await fits(bob));
  await picture(ann, 'rooms-desktop-long');
  await picture(bob, 'rooms-phone-dark-long');
  await picture(carl, 'rooms-phone-light');
  await ann.emulateMedia({ colorScheme: 'dark' });
  await ann.goto(running.address + '#music');
  await say(ann, 'Nobody but me');
  await appears('alone in the music', ann, shows, 'Nobody but me');
  await picture(ann, 'rooms-desktop-dark');
  await ann.goto(running.address + '#lobby');
  await appears('Ann is back', bob, members, '2 members');

  const server = await restart('rooms', running, [ann, bob]);
  await say(bob, 'welcome back');
  await appears('both talk again', ann, shows, 'welcome back');
  await bob.close();
  await appears('a closed tab has left', ann, shows, 'Bob left');
  await appears('and is not counted', ann, members, '1 member');
  expect('rooms ends with status 0', await stop(server) === 0);
}

async function chat(browser) {
  const running = await start('chat', 0);
  const ann = await open(browser, running.address, 'Ann', desktop);
  const bob = await open(browser, running.address, 'Bob', { ...phone, colorScheme: 'dark' });
  await picture(bob, 'chat-phone-dark-empty');
  await say(ann, 'Hello Bob');
  await appears('chat: what Ann says reaches Bob', bob, shows, 'Hello Bob');
  await say(bob, markup);
  await appears('markup is shown as text', ann, shows, markup);
  await say(ann, 'That is a lot of punctuation. '.repeat(8));
  await appears('long lines', bob, shows, 'punctuation');
  const forged = ['{"name":{"toString":1},"text":["x"]}', 'null', '[1', '{"name":"\u202eevil","text":"turned"}'];
  for (const data of forged) await ann.evaluate(text => socket.send(text), data);
  await appears('forged messages do no harm', bob, shows, 'turned');
  expect('and nothing of it comes alive', await harmless(ann) && await harmless(bob));
  expect('the page fits the phone', await fits(bob));
  await legible('chat', ann);
  await legible('chat on a dark phone', bob);
  await picture(ann, 'chat-desktop');
  await picture(bob, 'chat-phone-dark');
  const server = await restart('chat', running, [ann, bob]);
  expect('chat ends with status 0', await stop(server) === 0);
}

// A home whose certificate store trusts our root, as a user would import it; or none.
function home(name, trusting) {
  const folder = resolve('build/interop/' + name), store = folder + '/.pki/nssdb';
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-N', '-d', 'sql:' + store, '--empty-password']);
  if (trusting) {
    execFileSync('certutil', ['-A', '-d', 'sql:' + store, '-t', 'C,,', '-n', 'interop', '-i', tls + 'ca.pem']);
  }
  return { ...process.env, HOME: folder };
}

async function secure() {
  const options = ['--cert', tls + 'server.pem', '--key', tls + 'server.key'];
  const running = { chat: await start('chat', 0, ...options), rooms: await start('rooms', 0, ...options) };
  const strict = await launch({ env: home('stranger', false) });
  const problem = await (await strict.newPage()).goto(running.chat.address).then(() => 'none', error => error.message);
  expect('https: an unknown authority is refused', problem.includes('ERR_CERT_AUTHORITY_INVALID'), problem);
  await strict.close();

  const browser = await launch({ env: home('trusting', true) });
  for (const program of ['chat', 'rooms']) {
    const { server, address } = running[program];
    expect(`${program}: https`, /^https:/.test(address), address);
    const ann = await open(browser, address, 'Ann', desktop);
    const place = address.replace('127.0.0.1', 'localhost');
    const bob = await open(browser, place, 'Bob', { ...phone, colorScheme: 'dark' });
    expect('its page is a secure context', await ann.evaluate(() => isSecureContext && location.protocol === 'https:'));
    expect('its socket is wss', await ann.evaluate(() => socket.url.startsWith('wss:')));
    await say(ann, 'Hello Bob, nobody listens in');
    await appears('what Ann says reaches Bob', bob, shows, 'nobody listens in');
    await say(bob, 'Good: \u00e4\u20ac\u{1f600}');
    await appears('what Bob says reaches Ann', ann, shows, '\u00e4\u20ac\u{1f600}');
    for (let i = 1; i <= 30; i++) await say(bob, `line ${i} ` + 'word '.repeat(i % 12));
    await appears('many lines', ann, shows, 'line 30');
    await picture(ann, `${program}-https-desktop`);
    await picture(bob, `${program}-https-phone`);
    expect(`${program} over https ends with status 0`, await stop(server) === 0);
    await appears('and the page is reconnecting', ann, state, 'Reconnecting');
    const again = await start(program, running[program].port, ...options);
    await appears('until the server is back', ann, state, 'Connected');
    expect('which ends with status 0', await stop(again.server) === 0);
  }
  await browser.close();
}

// Echoes in the page; how many came back as they went, and what was agreed on.
async function echoes(address) {
  const socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  await new Promise((opened, failed) => { socket.onopen = opened; socket.onerror = failed; });
  const next = () => new Promise(take => { socket.onmessage = event => take(event.data); });
  const noise = crypto.getRandomValues(new Uint8Array(5000));
  const texts = [0, 1, 30, 100, 1000, 20000, 300000].map(size => 'word \u20ac '.repeat(size / 7 + 1).slice(0, size));
  let good = 0;
  for (const data of [...texts, ...texts.map(text => new TextEncoder().encode(text)), noise]) {
    socket.send(data);
    const back = await next();
    good += typeof data === 'string' ? back === data
      : back.byteLength === data.length && new Uint8Array(back).every((byte, i) => byte === data[i]);
  }
  socket.close();
  return { good, extensions: socket.extensions };
}

async function plain(browser) {
  const running = await start('echo', 0);
  const page = await visit(browser, running.address.replace('ws:', 'http:'), 'echo', desktop);
  const { good, extensions } = await page.evaluate(echoes, running.address);
  expect('no compression unless the server has it on', extensions === '', extensions);
  expect('15 echoes', good === 15, good);
  expect('echo ends with status 0', await stop(running.server) === 0);
}

async function compressed(browser) {
  const running = await start('echo', 0, '--deflate');
  const page = await visit(browser, running.address.replace('ws:', 'http:'), 'echo', desktop);
  const heads = [];
  const inspector = await page.context().newCDPSession(page);
  await inspector.send('Network.enable');
  inspector.on('Network.webSocketHandshakeResponseReceived', event => heads.push(event.response.headers));
  const { good, extensions } = await page.evaluate(echoes, running.address);
  expect('permessage-deflate is agreed on', extensions.startsWith('permessage-deflate'), extensions);
  expect('by the header that came', heads.length === 1
    && /permessage-deflate/.test(Object.entries(heads[0]).find(([name]) => /extensions/i.test(name))), heads);
  expect('15 echoes, compressed and not', good === 15, good);
  expect('echo ends with status 0', await stop(running.server) === 0);
}

// Whether https can be tried here; if not, why.
function lacking() {
  if (!existsSync(tls + 'server.pem')) return 'no certificates: openssl is missing';
  if (spawnSync('certutil', ['-H']).error) return 'no certutil (libnss3-tools)';
  const probe = spawnSync('build/chat', ['0', '--cert', '/dev/null', '--key', '/dev/null'], { timeout: 5000 });
  return probe.stderr.includes('is not an option') ? 'built without TLS' : '';
}

if (lacking()) skip('https: ' + lacking());
run(rooms, chat, plain, compressed, ...(lacking() ? [] : [secure]));

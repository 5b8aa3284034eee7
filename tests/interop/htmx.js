#!/usr/bin/env node
// Chromium's page of htmx.c, with htmx and its WebSocket extension from npm, served by the example itself.
'use strict';
const { cpSync, existsSync, mkdirSync } = require('fs');
const { appears, desktop, expect, fits, legible, phone, picture, run, skip, start, stop, visit } = require('./kit');

const scripts = 'build/interop/htmx';
const said = wanted => document.getElementById('said').textContent === wanted;

async function htmx(browser) {
  const { server, address, port } = await start('htmx', 0, '--scripts', scripts);
  const page = await visit(browser, address, 'htmx', desktop);
  const requests = [];
  page.on('request', request => requests.push(request.url()));
  let frames = 0;
  page.on('websocket', socket => socket.on('framereceived', () => frames++));
  await page.reload();
  await appears('htmx: the page greets', page, said, 'Hello, world');
  await page.waitForFunction(() => window.htmx && htmx.version);
  await page.fill('#name', 'Ann');
  await page.press('#name', 'Enter');
  await appears('hello by name', page, said, 'Hello, Ann');
  expect('the name is still in its field', await page.inputValue('#name') === 'Ann');
  await legible('htmx-desktop', page);
  await picture(page, 'htmx-desktop');
  const began = Date.now();
  await appears('two seconds later goodbye', page, said, 'Goodbye, Ann');
  expect('and not at once', Date.now() - began > 1000, String(Date.now() - began));
  await appears('the field is emptied', page, () => document.getElementById('name').value === '');
  expect('in two messages', frames === 2, String(frames));
  const odd = '<img src=x onerror="hurt=1"> & \'it\'';
  await page.fill('#name', odd);
  await page.click('button');
  await appears('markup is shown as text', page, said, 'Hello, ' + odd);
  const hurt = () => 'hurt' in window || document.querySelector('#said *') !== null;
  expect('and does not come alive', !await page.evaluate(hurt));
  await page.fill('#name', 'Second');
  await page.click('button');
  await appears('a newer name takes the place of the older', page, said, 'Hello, Second');
  await appears('and hears goodbye', page, said, 'Goodbye, Second');

  const error = '<p id=\'said\' class=\'error\'>Please send a name of at most 100 bytes.</p>';
  const answers = await page.evaluate(async address => {
    const socket = new WebSocket(address.replace('http', 'ws') + 'ws'), answers = [];
    await new Promise(opened => { socket.onopen = opened; });
    const long = JSON.stringify({ name: 'x'.repeat(101) });
    for (const text of ['{', '[]', '{"other":1}', '{"name":7}', '{"name":""}', long]) {
      socket.send(text);
      answers.push(await new Promise(got => { socket.onmessage = event => got(event.data); }));
    }
    socket.send('{"name":"Bob","HEADERS":{"HX-Request":"true"}}');
    answers.push(await new Promise(got => { socket.onmessage = event => got(event.data); }));
    socket.close();
    return answers;
  }, address);
  expect('bad messages get an error text', answers.slice(0, 6).every(answer => answer === error), answers.join(' | '));
  expect('and the socket stays open', answers[6] === '<p id=\'said\'>Hello, Bob</p>', answers[6]);

  const small = await visit(browser, address, 'phone', { ...phone, colorScheme: 'dark' });
  await appears('the page on a phone', small, said, 'Hello, world');
  expect('fits', await fits(small));
  await legible('htmx-phone-dark', small);
  await picture(small, 'htmx-phone-dark');
  expect('nothing comes from elsewhere', requests.every(url => url.startsWith(address) || url.startsWith('data:')),
    requests.join(' '));

  expect('htmx ends with status 0', await stop(server) === 0);
  const again = await start('htmx', port, '--scripts', scripts);
  await page.fill('#name', 'Carl');
  for (let tries = 0; tries < 40 && !await page.evaluate(said, 'Hello, Carl'); tries++) {
    await page.press('#name', 'Enter');
    await page.waitForTimeout(500);
  }
  expect('with its server back the page is served again', await page.evaluate(said, 'Hello, Carl'));
  expect('and htmx ends with status 0', await stop(again.server) === 0);
}

// Scripts that do not come, or are of another version: the page says so.
async function without(browser) {
  const { server, address } = await start('htmx', 0, '--scripts', scripts);
  const none = route => route.abort(), other = route => route.fulfill({ contentType: 'text/javascript',
    body: 'var htmx = { version: "1.9.12", createWebSocket() {}, defineExtension() {} };' });
  const offline = '; offline: start ./htmx --scripts FOLDER.';
  for (const [path, handler, wanted] of [['/htmx.min.js', none, 'This page needs htmx 2: htmx did not load' + offline],
    ['/ws.js', none, 'This page needs htmx 2: its extension ws.js did not load' + offline],
    ['/htmx.min.js', other, 'This page needs htmx 2: this is htmx 1.9.12.']]) {
    const page = await (await browser.newContext(phone)).newPage(); // errors of the scripts are expected
    await page.route('**' + path, handler);
    await page.goto(address);
    await appears(wanted, page, text => document.querySelector('.error[role=alert]')?.innerText === text, wanted);
    await picture(page, 'htmx-without');
    await legible('the error', page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await legible('the error in the dark', page);
  }
  const quiet = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await quiet.goto(address);
  expect('without scripts it says so, too', /needs JavaScript/.test(await quiet.locator('noscript').innerText()));
  expect('htmx ends with status 0', await stop(server) === 0);
}

function main() {
  const names = ['htmx.org/dist/htmx.min.js', 'htmx-ext-ws/dist/ws.js'];
  const files = names.map(name => `${__dirname}/node_modules/${name}`);
  if (!files.every(existsSync)) {
    skip('no npm packages htmx.org and htmx-ext-ws: run npm ci in tests/interop');
    return run();
  }
  mkdirSync(scripts, { recursive: true });
  for (const file of files) cpSync(file, `${scripts}/${file.split('/').pop()}`);
  return run(htmx, without);
}
main();

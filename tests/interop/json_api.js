#!/usr/bin/env node
// Chromium's page of json_api.c: samples, requests and answers, errors, a server that comes back.
'use strict';
const { appears, desktop, expect, legible, phone, picture, run, start, stop, visit } = require('./kit');

const logs = wanted => document.getElementById('log').innerText.replace(/\s/g, '').includes(wanted);

async function send(page, text) {
  await page.fill('#request', text);
  await page.click('#send');
}

async function jsonApi(browser) {
  const { server, address, port } = await start('json_api', 0);
  const page = await visit(browser, address, 'json_api', desktop);
  await page.waitForFunction(() => document.getElementById('state').textContent);
  await send(page, '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}');
  await appears('json_api: a request and its answer', page, logs, '{"jsonrpc":"2.0","result":3,"id":1}');
  await send(page, '{"jsonrpc":"2.0","method":"fly","id":"two"}');
  await appears('an unknown method', page, logs, '"code":-32601');
  await send(page, '{"jsonrpc":');
  await appears('what is no JSON', page, logs, '"code":-32700');
  await send(page, '[{"jsonrpc":"2.0","method":"sum","params":[1,2,3],"id":3},7]');
  await appears('a batch', page, logs, '"result":6');
  await appears('and what is wrong in it', page, logs, '"code":-32600');
  await send(page, '{"jsonrpc":"2.0","method":"echo","params":["<img src=x onerror=hurt=1>"],"id":4}');
  await appears('markup is shown as text', page, logs, '<imgsrc=xonerror=hurt=1>');
  expect('and does not come alive', !await page.evaluate(() => 'hurt' in window || document.querySelector('img')));
  await legible('json_api-desktop', page);
  await picture(page, 'json_api-desktop');
  const samples = await page.$$('#samples button, #samples a');
  expect('there are samples', samples.length > 2, samples.length);
  const small = await visit(browser, address, 'phone', { ...phone, colorScheme: 'dark' });
  await small.waitForFunction(() => document.getElementById('state').textContent);
  expect('it is as wide as a phone', await small.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await legible('json_api-phone-dark', small);
  await picture(small, 'json_api-phone-dark');
  expect('json_api ends with status 0', await stop(server) === 0);
  const again = await start('json_api', port);
  for (let tries = 0; tries < 40 && !await page.evaluate(logs, '"result":42'); tries++) {
    await send(page, '{"jsonrpc":"2.0","method":"add","params":[40,2],"id":5}');
    await page.waitForTimeout(500);
  }
  expect('with its server back it answers again', await page.evaluate(logs, '"result":42'));
  expect('and json_api ends with status 0', await stop(again.server) === 0);
}

run(jsonApi);

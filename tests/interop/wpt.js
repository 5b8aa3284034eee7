#!/usr/bin/env node
// What the web-platform-tests' websockets/ are about, in Chromium: the pages of wpt/ and the server wpt.c.
'use strict';
const { existsSync } = require('fs');
const { expect, run, skip, start, stop, visit } = require('./kit');

const tls = 'build/interop/tls/';

async function scheme(name, browser, address) {
  const page = await visit(browser, address, name, { ignoreHTTPSErrors: true });
  await page.waitForFunction(() => window.finished, null, { timeout: 100000, polling: 100 });
  const results = await page.evaluate(() => window.finished);
  for (const { name: what, problem } of results) expect(`${name}: ${what}`, !problem, problem);
  expect(`${name}: all have run`, results.length > 50, results.length);
  await page.close();
}

async function pages(browser) {
  const secure = existsSync(tls + 'server.pem');
  const options = secure ? ['--cert', tls + 'server.pem', '--key', tls + 'server.key'] : [];
  const { server, address } = await start('wpt', 'tests/interop/wpt', ...options);
  await scheme('ws', browser, address);
  const other = new URL(address).searchParams.get('https');
  if (secure) await scheme('wss', browser, `https://127.0.0.1:${other}/`);
  else skip('wss: no certificates');
  expect('the server ends with status 0', await stop(server) === 0);
}

run(pages);

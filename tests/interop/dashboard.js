#!/usr/bin/env node
// Chromium's page of dashboard.c: figures and lines that move, the past at once, a server that comes back.
'use strict';
const { appears, desktop, expect, legible, phone, picture, run, start, stop, visit } = require('./kit');

const text = id => document.getElementById(id).textContent;
const ink = page => page.evaluate(() => {
  const canvas = document.getElementById('cpu-line');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, left = canvas.width;
  for (let i = 3; i < data.length; i += 4) if (data[i]) { sum++; left = Math.min(left, (i >> 2) % canvas.width); }
  return { sum, left, width: canvas.width };
});

async function dashboard(browser) {
  const { server, address, port } = await start('dashboard', 0, '--every', '100');
  const page = await visit(browser, address, 'dashboard', desktop);
  await appears('dashboard: connected', page, () => document.getElementById('state').textContent === 'Live');
  for (const [id, form] of [['cpu', '^\\d+ %$'], ['memory', '^\\d+ %$'], ['load', '^\\d+\\.\\d\\d$'],
    ['network', '^\\d+\\.\\d KiB/s$'], ['pages', '^1$']]) {
    await appears(`${id} has a figure`, page, ([name, form]) => new RegExp(form)
      .test(document.getElementById(name).textContent), [id, form]);
  }
  await page.waitForTimeout(500);
  const before = await ink(page);
  let after = before;
  for (let tries = 0; tries < 40 && after.left >= before.left; tries++) {
    await page.waitForTimeout(250);
    after = await ink(page);
  }
  expect('a line is drawn', before.sum > 0, JSON.stringify(before));
  expect('and moves to the left', after.left < before.left, JSON.stringify([before, after]));
  const lines = page.getByRole('img', { name: /^(Processor|Memory|Load|Network|Open pages): / });
  expect('each line has a label for screen readers', await lines.count() === 5);
  const first = await page.getAttribute('#cpu-line', 'aria-label');
  expect('which tells the figure and its range', /^Processor: \d+ %; last \d+ from \d+ % to \d+ %$/.test(first), first);
  await appears('and changes with the line', page, first => document.getElementById('cpu-line')
    .getAttribute('aria-label') !== first, first);
  await legible('dashboard', page);
  await picture(page, 'dashboard-desktop');
  const memory = await page.evaluate(text, 'memory');
  expect('the figures are sane', parseInt(memory, 10) > 0 && parseInt(memory, 10) <= 100, memory);
  const small = await visit(browser, address, 'phone', { ...phone, colorScheme: 'dark' });
  await appears('a new page has the past at once', small, () => history.cpu.length >= 10);
  await appears('and is counted', page, () => document.getElementById('pages').textContent === '2');
  await small.waitForTimeout(300);
  expect('it is as wide as a phone', await small.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await legible('dashboard on a dark phone', small);
  await picture(small, 'dashboard-phone-dark');
  expect('dashboard ends with status 0', await stop(server) === 0);
  await appears('the page says that it lost its server', page, () => /Not connected/
    .test(document.getElementById('state').textContent));
  const again = await start('dashboard', port, '--every', '100');
  await appears('and comes back', page, () => document.getElementById('state').textContent === 'Live'
    && history.cpu.length > 2);
  expect('dashboard ends with status 0 again', await stop(again.server) === 0);
}

run(dashboard);

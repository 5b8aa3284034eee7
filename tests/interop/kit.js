// What the tests of pages have in common: Chromium, driven by playwright; programs; counting.
// Screenshots: build/screenshots. Without browser or package the test that asks for this is skipped.
'use strict';
const { spawn } = require('child_process');
const { once } = require('events');
const { accessSync } = require('fs');

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
let playwright;
try {
  playwright = require('playwright-core');
  accessSync(executablePath);
} catch {
  console.log(`no ${playwright ? executablePath : 'npm package playwright-core: run npm ci in tests/interop'}`);
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const desktop = { viewport: { width: 1100, height: 720 } };
const phone = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
let passed = 0, failed = 0, skipped = 0, problems = [];

function expect(name, good, detail = '') {
  good ? passed++ : failed++;
  console.log(good ? `ok      chromium: ${name}` : `FAILED  chromium: ${name} ${detail}`);
}

function skip(why) {
  console.log('skipped chromium: ' + why);
  skipped++;
}

// Passes when test(...) in the page comes true in time.
async function appears(name, page, test, argument) {
  const good = await page.waitForFunction(test, argument, { timeout: 20000 }).then(() => true, () => false);
  expect(name, good, good ? '' : await page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ').slice(-300)));
}

const launch = more => playwright.chromium.launch({ executablePath, args: flags, ...more });

// A page of its own context; an error in its scripts fails the part that is running.
async function visit(browser, address, name, options) {
  const page = await (await browser.newContext(options)).newPage();
  page.on('pageerror', error => problems.push(`${name}: ${error.message}`));
  await page.goto(address);
  return page;
}

async function start(program, port, ...options) {
  const server = spawn(`build/${program}`, [String(port), ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill('SIGKILL'));
  const [line] = await Promise.race([once(server.stdout, 'data'),
    once(server, 'exit').then(() => { throw new Error(`${program} does not start`); })]);
  return { server, address: line.toString().trim(), port: new URL(line.toString().trim()).port };
}

async function stop(server) {
  const exit = once(server, 'exit');
  server.kill('SIGTERM');
  return (await exit)[0];
}

const picture = (page, name) => page.screenshot({ path: `build/screenshots/${name}.png` });
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth
  && document.documentElement.scrollHeight <= innerHeight);

// Runs each part with a browser, prints the counts, and ends the process.
async function run(...parts) {
  const finish = () => {
    console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
    process.exit(failed ? 1 : 0);
  };
  setTimeout(() => { expect('all in four minutes', false); finish(); }, 240000);
  try {
    const browser = await launch();
    for (const part of parts) {
      problems = [];
      await part(browser).catch(problem => expect(part.name, false, problem.message));
      expect(`no script error in ${part.name}`, problems.length === 0, problems.join('; '));
    }
    await browser.close();
  } catch (problem) {
    expect('the browser', false, problem.message);
  }
  finish();
}

module.exports = { appears, desktop, expect, fits, launch, phone, picture, run, skip, start, stop, visit };

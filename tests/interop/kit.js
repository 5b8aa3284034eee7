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
  process.setMaxListeners(50).on('exit', () => server.kill('SIGKILL'));
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

// Passes when all text that shows has a contrast of 4.5 to what is behind it, as WCAG 2.2 counts it.
async function legible(name, page) {
  const pale = await page.evaluate(() => {
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const numbers = css => { // red, green, blue from 0 to 255, alpha from 0 to 1
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = css;
      pen.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    };
    const over = (top, alpha, below) => top.slice(0, 3).map((part, i) => part * alpha + below[i] * (1 - alpha));
    const light = rgb => rgb.map(part => part / 255).map(part => part <= 0.04045 ? part / 12.92
      : ((part + 0.055) / 1.055) ** 2.4).reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const probe = document.body.appendChild(document.createElement('div'));
    probe.style.background = 'Canvas';
    const paper = numbers(getComputedStyle(probe).backgroundColor);
    probe.remove();
    const behind = element => {
      const below = element.parentElement ? behind(element.parentElement) : paper;
      const back = numbers(getComputedStyle(element).backgroundColor);
      return over(back, back[3], below);
    };
    const seen = element => element ? getComputedStyle(element).opacity * seen(element.parentElement) : 1;
    const list = [];
    for (const element of document.body.querySelectorAll('*')) {
      const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
      if (!(own || element.matches('input, textarea')) || element.matches('script, style, noscript, :disabled')
        || !element.checkVisibility({ visibilityProperty: true })) continue;
      const styles = [getComputedStyle(element)];
      if (element.placeholder) styles.push(getComputedStyle(element, '::placeholder'));
      for (const [i, { color, opacity }] of styles.entries()) {
        const front = numbers(color), back = behind(element);
        const shown = over(front, front[3] * seen(element) * (i ? opacity : 1), back);
        const [high, low] = [light(shown), light(back)].sort((a, b) => b - a), contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) list.push(`${element.tagName} ${element.id} ${element.innerText} ${contrast.toFixed(2)}`);
      }
    }
    return list;
  });
  expect(`${name}: all text is legible`, pale.length === 0, pale.join(', '));
}

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

module.exports = { appears, desktop, expect, fits, launch, legible, phone, picture, run, skip, start, stop, visit };
